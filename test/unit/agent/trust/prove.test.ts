import test from 'ava'
import { prove } from '../../../../agent/trust/prove.ts'
import { keep } from '../../../../agent/trust/register.ts'
import { Roster } from '../../../../agent/trust/roster.ts'
import { CulvertError } from '../../../../common/errors.ts'
import { decodeStatement, encodeStatement } from '../../../../common/wire/member-statement.ts'
import { mutateBytes, seededDraw } from '../../mutate.ts'
import { keyOf, ROOT, say } from './statements.ts'

const [ANNA, DORA, EMIL] = [keyOf(1), keyOf(4), keyOf(5)]
const annaIsAdmin = say(ROOT, { peer: ANNA.id, version: 1, admin: true })
const doraIsIn = say(ANNA, { peer: DORA.id, version: 1, grant: 1 })

test('an admin and what he signed are proven together, in any order', async t => {
  const roster = new Roster(ROOT.id)
  const { statements, refused } = await prove(roster, [doraIsIn, annaIsAdmin])
  t.deepEqual(refused, { known: 0, foreign: 0, unauthorized: 0, full: 0, forged: 0 })
  roster.merge(statements)
  t.true(roster.standing(DORA.id)?.member)
  t.is((await prove(roster, [doraIsIn, annaIsAdmin])).refused.known, 2)
})

test('nothing comes in that is forged, of another network, or by who may not sign', async t => {
  const roster = new Roster(ROOT.id)
  const forged = keep({ ...doraIsIn, entry: { ...doraIsIn.entry, signature: annaIsAdmin.entry.signature } })
  const noKey = say(EMIL, { peer: DORA.id, version: 1, grant: 1 })
  const foreign = say(EMIL, { peer: DORA.id, version: 1, network: EMIL.id })
  const forgedAdmin = keep({
    ...annaIsAdmin,
    entry: { ...annaIsAdmin.entry, peer: EMIL.id },
  })
  const { statements, refused } = await prove(roster, [annaIsAdmin, forged, noKey, foreign])
  t.deepEqual(statements, [annaIsAdmin])
  t.deepEqual(refused, { known: 0, foreign: 1, unauthorized: 1, full: 0, forged: 1 })
  // With an entry beside it that would let EMIL sign, and is forged itself: the signature holds, and the right is missing.
  const late = await prove(roster, [forgedAdmin, noKey])
  t.is(late.refused.forged, 1)
  t.deepEqual(roster.merge(late.statements).taken, [])
})

test('of statements that were changed on their way none enters, but for those that still are what was signed', async t => {
  const originals = [annaIsAdmin, doraIsIn, say(ROOT, { peer: EMIL.id, version: 2, removed: true })]
  const ids = new Set(originals.map(({ id }) => id))
  const mutants = Array.from({ length: 3_000 }, (_, i) => {
    const draw = seededDraw(20_261 + i)
    const original = originals[draw(originals.length)]
    return original ? mutateBytes(encodeStatement(original), draw) : Buffer.alloc(0)
  })
  const read = mutants.flatMap(bytes => {
    try {
      return [decodeStatement(bytes)]
    } catch (thrown) {
      t.true(thrown instanceof CulvertError && thrown.code === 'wire-malformed')
      return []
    }
  })
  t.true(read.length > 100)
  const roster = new Roster(ROOT.id)
  const { statements } = await prove(roster, read)
  t.true(statements.every(({ id }) => ids.has(id)))
  roster.merge(statements)
  t.true([...roster.statements()].every(({ id }) => ids.has(id)))
})
