import { createHash } from 'node:crypto'
import test from 'ava'
import fc from 'fast-check'
import { type Kept, keep } from '../../../../agent/trust/register.ts'
import { MAX_BY_ADMIN, MAX_ROSTER_PEERS, Roster } from '../../../../agent/trust/roster.ts'
import { decodeStatement, encodeStatement } from '../../../../common/wire/member-statement.ts'
import { type PeerId, peerIdFromBytes } from '../../../../common/wire/peer-id.ts'
import { liveBytes } from '../../collect-garbage.ts'
import { randomBytes, seededDraw } from '../../mutate.ts'
import { keyOf, ROOT, type Says, say, viewOf } from './statements.ts'

const ADMINS = [keyOf(1), keyOf(2), keyOf(3)] as const
const [ANNA, BERT] = ADMINS
const [DORA, EMIL, FRED] = [keyOf(4).id, keyOf(5).id, keyOf(6).id]

const rosterOf = (...statements: readonly Kept[]) => {
  const roster = new Roster(ROOT.id)
  roster.merge(statements)
  return roster
}
const isMember = (roster: Roster, peer = DORA) => roster.standing(peer)?.member ?? false

const annaIsAdmin = say(ROOT, { peer: ANNA.id, version: 1, admin: true })
const bertIsAdmin = say(ROOT, { peer: BERT.id, version: 1, admin: true })
const byAnna = (says: Says) => say(ANNA, { grant: 1, ...says })
const byBert = (says: Says) => say(BERT, { grant: 1, ...says })
const byRoot = (says: Says) => say(ROOT, says)

test('the root and an admin take peers in, and a member does not', t => {
  const roster = rosterOf(
    annaIsAdmin,
    byRoot({ peer: DORA, version: 1 }),
    byAnna({ peer: EMIL, version: 1, name: 'emil', roles: ['family'] }),
    say(keyOf(4), { peer: FRED, version: 1, grant: 1 }),
  )
  t.true(isMember(roster, DORA))
  t.true(isMember(roster, EMIL))
  t.deepEqual(roster.standing(EMIL)?.by.details?.roles, ['family'])
  t.false(isMember(roster, FRED))
  t.true(roster.standing(ANNA.id)?.admin)
  t.false(roster.standing(DORA)?.admin)
})

test('what is not of this network does not come in, and what came before is known', t => {
  const roster = rosterOf(annaIsAdmin)
  const foreign = say(keyOf(9), { peer: DORA, version: 1, network: keyOf(9).id })
  t.is(roster.refuses(foreign.entry), 'foreign')
  t.is(roster.refuses(annaIsAdmin.entry), 'known')
  t.deepEqual(roster.merge([foreign, annaIsAdmin]).refused, { known: 1, foreign: 1, unauthorized: 0, full: 0 })
  t.is(roster.size, 1)
})

test('removed stays removed: neither old entries nor newer ones of an admin bring a peer back, and the root does', t => {
  const old = byRoot({ peer: DORA, version: 1 })
  const removal = byAnna({ peer: DORA, version: 2, removed: true })
  const roster = rosterOf(annaIsAdmin, bertIsAdmin, old, removal)
  t.false(isMember(roster))
  roster.merge([old, byBert({ peer: DORA, version: 7 }), byAnna({ peer: DORA, version: 8 })])
  t.false(isMember(roster))
  roster.merge([byRoot({ peer: DORA, version: 2, name: 'late' })])
  t.false(isMember(roster))
  roster.merge([byRoot({ peer: DORA, version: 3 })])
  t.true(isMember(roster))
})

test('an admin whom the root removes takes with him what he signed, then and later, and what the root signs anew stays', t => {
  const roster = rosterOf(
    annaIsAdmin,
    byRoot({ peer: DORA, version: 1 }),
    byAnna({ peer: DORA, version: 2, removed: true }),
    byAnna({ peer: EMIL, version: 1 }),
    byAnna({ peer: FRED, version: 1 }),
  )
  const { touched } = roster.merge([
    byRoot({ peer: FRED, version: 2 }),
    byRoot({ peer: ANNA.id, version: 2, removed: true }),
  ])
  t.deepEqual([...touched].toSorted(), [ANNA.id, DORA, EMIL, FRED].toSorted())
  t.false(isMember(roster, ANNA.id))
  t.false(isMember(roster, EMIL))
  t.true(isMember(roster, FRED))
  t.true(isMember(roster, DORA))
  t.is(roster.refuses(byAnna({ peer: EMIL, version: 9 }).entry), 'unauthorized')
})

test('a grant that was taken back does not come back with the next one', t => {
  const early = byAnna({ peer: DORA, version: 1 })
  const roster = rosterOf(annaIsAdmin, early, byRoot({ peer: ANNA.id, version: 2 }))
  t.false(roster.standing(ANNA.id)?.admin)
  t.true(isMember(roster, ANNA.id))
  roster.merge([byRoot({ peer: ANNA.id, version: 3, admin: true }), early])
  t.true(roster.standing(ANNA.id)?.admin)
  t.false(isMember(roster))
  roster.merge([byAnna({ peer: DORA, version: 2, grant: 3 })])
  t.true(isMember(roster))
})

test('an admin who gets another name stays admin, and so does what he signed', t => {
  const roster = rosterOf(annaIsAdmin, byAnna({ peer: DORA, version: 1 }))
  roster.merge([byRoot({ peer: ANNA.id, version: 2, admin: true, grant: 1, name: 'anna' })])
  t.true(isMember(roster))
  t.is(roster.standing(ANNA.id)?.by.details?.name, 'anna')
  roster.merge([byAnna({ peer: EMIL, version: 1 })])
  t.true(isMember(roster, EMIL))
})

test('no admin removes an admin', t => {
  const roster = rosterOf(annaIsAdmin, bertIsAdmin, byBert({ peer: ANNA.id, version: 9, removed: true }))
  t.true(roster.standing(ANNA.id)?.admin)
  t.is(roster.grantOf(ANNA.id), 1)
})

test('tells who was touched, and what was taken', t => {
  const roster = rosterOf(annaIsAdmin)
  const [first, second] = [byAnna({ peer: DORA, version: 1 }), byAnna({ peer: DORA, version: 2 })]
  const { taken, touched } = roster.merge([first, second])
  t.deepEqual(taken, [second])
  t.deepEqual([...touched], [DORA])
  t.deepEqual(roster.merge([first, second]).taken, [])
  t.is(roster.versionOf(DORA), 2)
  t.deepEqual(roster.signedBy(ANNA.id), [second])
})

/** What anybody may ever sign in a network of three admins, one of them taken back and made one again. */
const grants = ADMINS.flatMap(({ id }) => [
  byRoot({ peer: id, version: 1, admin: true }),
  byRoot({ peer: id, version: 2, removed: true }),
  byRoot({ peer: id, version: 2 }),
  byRoot({ peer: id, version: 3, admin: true }),
  byRoot({ peer: id, version: 4, admin: true, grant: 3 }),
  byRoot({ peer: id, version: 4, admin: true, grant: 1 }),
])
const lives = [DORA, EMIL, ANNA.id].flatMap(peer =>
  [1, 2, 3].flatMap(version =>
    [false, true].flatMap(removed => [
      byRoot({ peer, version, removed }),
      ...ADMINS.filter(({ id }) => id !== peer).flatMap(admin =>
        [1, 3].map(grant => say(admin, { peer, version, removed, grant })),
      ),
    ]),
  ),
)
/** Whatever is sent goes with the entry of the admin who signed it: a chain. */
const chainOf = (statement: Kept): readonly Kept[] => [
  ...grants
    .filter(
      ({ entry }) => entry.admin && entry.peer === statement.entry.signer && entry.grant === statement.entry.grant,
    )
    .slice(0, 1),
  statement,
]
const statements = fc.array(fc.constantFrom(...grants, ...lives), { maxLength: 40 })
const chains = statements.map(all => all.map(chainOf))

test('merging is commutative: the order in which statements come does not matter', t => {
  fc.assert(
    fc.property(
      chains.chain(all => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }))),
      ([one, other]) => {
        const [a, b] = [new Roster(ROOT.id), new Roster(ROOT.id)]
        for (const chain of one) a.merge(chain)
        for (const chain of other) b.merge(chain)
        t.deepEqual(viewOf(a), viewOf(b))
      },
    ),
    { numRuns: 1_000 },
  )
})

test('merging is associative and idempotent: rosters that meet in any order are the same', t => {
  fc.assert(
    fc.property(chains, chains, chains, (x, y, z) => {
      const [a, b, c] = [x, y, z].map(all => rosterOf(...all.flat())) as [Roster, Roster, Roster]
      const join = (...all: readonly Roster[]) => {
        const joined = new Roster(ROOT.id)
        for (const roster of all) joined.merge([...roster.statements()])
        return joined
      }
      t.deepEqual(viewOf(join(join(a, b), c)), viewOf(join(a, join(b, c))))
      t.deepEqual(viewOf(join(a, a)), viewOf(a))
      t.deepEqual(viewOf(join(a, b, a, b)), viewOf(join(b, a)))
      t.deepEqual(viewOf(join(a, b, c)), viewOf(rosterOf(...[...x, ...y, ...z].flat())))
    }),
    { numRuns: 500 },
  )
})

test('removed stays removed, whatever else comes, until the root says otherwise or ends the right of who removed', t => {
  fc.assert(
    fc.property(chains, fc.constantFrom(DORA, EMIL), (all, peer) => {
      const roster = rosterOf(annaIsAdmin)
      let removal: Kept | undefined
      for (const chain of all) {
        roster.merge(chain)
        const standing = roster.standing(peer)
        if (removal && standing?.member) {
          const { entry } = removal
          const back = [...roster.statements()].some(
            kept =>
              kept.entry.peer === peer &&
              kept.entry.signer === ROOT.id &&
              !kept.entry.removed &&
              kept.entry.version > entry.version,
          )
          const ended = entry.signer !== ROOT.id && roster.grantOf(entry.signer) !== entry.grant
          t.true(back || ended)
        }
        removal = standing && !standing.member ? standing.by : undefined
      }
    }),
    { numRuns: 1_000 },
  )
})

test('three admins that were apart agree when they meet, whatever each has added and removed', t => {
  const PEERS = Array.from({ length: 8 }, (_, i) => keyOf(20 + i).id)
  const act = fc.record({
    admin: fc.nat({ max: 2 }),
    peer: fc.constantFrom(...PEERS),
    removed: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(act, { maxLength: 24 }), fc.array(fc.nat({ max: 2 }), { maxLength: 6 }), (acts, meetings) => {
      const start = ADMINS.map(({ id }) => byRoot({ peer: id, version: 1, admin: true }))
      const rosters = ADMINS.map(() => rosterOf(...start))
      const at = (n: number) => rosters[n] as Roster
      for (const { admin, peer, removed } of acts) {
        const by = ADMINS[admin] ?? ANNA
        at(admin).merge([say(by, { peer, removed, grant: 1, version: at(admin).versionOf(peer) + 1 })])
      }
      for (const from of meetings) at((from + 1) % 3).merge([...at(from).statements()])
      // Once around, and back: each has met each.
      for (const [from, to] of [
        [0, 1],
        [1, 2],
        [2, 1],
        [1, 0],
      ] as const)
        at(to).merge([...at(from).statements()])
      t.deepEqual(viewOf(at(0)), viewOf(at(1)))
      t.deepEqual(viewOf(at(1)), viewOf(at(2)))
      for (const { peer, removed } of acts) if (removed) t.false(isMember(at(0), peer))
    }),
    { numRuns: 200 },
  )
})

test('no admin can fill the memory', t => {
  const roster = rosterOf(
    annaIsAdmin,
    ...ADMINS.slice(1).map(({ id }) => byRoot({ peer: id, version: 1, admin: true })),
  )
  for (let version = 1; version <= 50; version++) {
    for (const admin of ADMINS) {
      roster.merge([
        say(admin, { peer: DORA, version, grant: 1 }),
        say(admin, { peer: DORA, version, grant: 1, removed: true }),
      ])
    }
  }
  t.is(roster.size, 3 + 2 * 3)
  const idOf = (n: number) => peerIdFromBytes(createHash('sha256').update(String(n)).digest())
  const many = Array.from({ length: MAX_BY_ADMIN }, (_, n) => byAnna({ peer: idOf(n), version: 1 }))
  t.is(roster.merge(many).refused.full, 1)
  t.is(roster.merge([byAnna({ peer: idOf(1), version: 2 })]).refused.full, 0)
  t.is(roster.merge([byAnna({ peer: idOf(0), version: 2, removed: true })]).refused.full, 0)
  t.is(roster.merge([byBert({ peer: idOf(MAX_BY_ADMIN), version: 1 })]).refused.full, 0)
  // With his right goes all of it, and who is an admin again begins anew.
  roster.merge([byRoot({ peer: ANNA.id, version: 2 }), byRoot({ peer: ANNA.id, version: 3, admin: true })])
  t.is(roster.merge(many.slice(0, 9).map((_, n) => say(ANNA, { peer: idOf(n), version: 1, grant: 3 }))).refused.full, 0)
})

test('10,000 members take less than 40 MB, and a peer more than there is room for is not taken', t => {
  const { entry, details } = annaIsAdmin
  const random = seededDraw(1)
  const someone = () => peerIdFromBytes(randomBytes(32, random))
  const member = (peer: PeerId): Kept =>
    keep(
      decodeStatement(
        encodeStatement({
          entry: { ...entry, peer, admin: false, grant: 0, signature: randomBytes(64, random) },
          details,
        }),
      ),
    )
  const roster = new Roster(ROOT.id)
  const before = liveBytes()
  for (let n = 0; n < 10_000; n++) roster.merge([member(someone())])
  const bytes = liveBytes() - before
  t.log(`${(bytes / 1e6).toFixed(1)} MB`)
  t.true(bytes < 40e6, `${bytes} bytes`)
  t.is([...roster.standings()].filter(([, { member: isIn }]) => isIn).length, 10_000)
  const rest = Array.from({ length: MAX_ROSTER_PEERS - 9_999 }, () => member(someone()))
  t.is(roster.merge(rest).refused.full, 1)
})
