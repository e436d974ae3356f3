import test from 'ava'
import { CulvertError } from '../../../../common/errors.ts'
import { generateKeyPair } from '../../../../common/platform/ed25519.ts'
import { isProven, isSigned, signEntry } from '../../../../common/platform/membership-proof.ts'
import { systemRandom } from '../../../../common/platform/random.ts'
import {
  decodeDetails,
  encodeDetails,
  hashOfDetails,
  MAX_DETAILS_BYTES,
  MAX_ROLES,
  memberDetails,
} from '../../../../common/wire/member-details.ts'
import { decodeStatement, encodeStatement } from '../../../../common/wire/member-statement.ts'
import {
  decodeChain,
  decodeEntry,
  ENTRY_BYTES,
  type Entry,
  type EntryBody,
  encodeChain,
  encodeEntry,
  entryFault,
  entryStatement,
  LAST_SECOND,
  NO_DETAILS,
} from '../../../../common/wire/membership.ts'
import { ALICE, BOB, fromHex, RELAY } from '../../../vectors/keys.ts'
import { ADMIN, ADMIN_STATEMENT, DETAILS, DETAILS_HEX, ENTRIES, MEMBER, REMOVED } from '../../../vectors/membership.ts'

const MALFORMED = { instanceOf: CulvertError, code: 'wire-malformed' }

for (const { name, entry, hex } of ENTRIES) {
  test(`${name}: is written as its vector, and read from it`, t => {
    t.is(fromHex(hex).length, ENTRY_BYTES)
    t.deepEqual(encodeEntry(entry), fromHex(hex))
    t.deepEqual(decodeEntry(fromHex(hex)), entry)
    t.true(isSigned(entry))
  })
}

test('signs exactly the bytes of the vector', t => {
  t.deepEqual(entryStatement(ADMIN), fromHex(ADMIN_STATEMENT))
  const { signer, signature, ...body } = ADMIN
  t.deepEqual(signEntry(body, ALICE), { ...body, signer, signature })
})

test('details are written as their vector, and read from it', t => {
  t.deepEqual(encodeDetails(DETAILS), fromHex(DETAILS_HEX))
  t.deepEqual(decodeDetails(fromHex(DETAILS_HEX)), DETAILS)
  t.deepEqual(hashOfDetails(fromHex(DETAILS_HEX)), ADMIN.details)
})

test('an entry that is changed anywhere, or cut, or longer, is not good', t => {
  const bytes = fromHex(ENTRIES[0]?.hex ?? '')
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes)
    changed[at] = (changed[at] ?? 0) ^ 1
    let good = true
    try {
      good = isProven({ entry: decodeEntry(changed), signer: undefined }, ALICE.id)
    } catch (thrown) {
      if (!(thrown instanceof CulvertError) || thrown.code !== 'wire-malformed') throw thrown
      good = false
    }
    t.false(good, `byte ${at}`)
  }
  t.throws(() => decodeEntry(bytes.subarray(0, -1)), MALFORMED)
  t.throws(() => decodeEntry(Buffer.concat([bytes, Buffer.of(0)])), MALFORMED)
})

test('a chain proves its entry for its own network, and needs the right admin beside it', t => {
  t.true(isProven({ entry: ADMIN, signer: undefined }, ALICE.id))
  t.true(isProven({ entry: MEMBER, signer: ADMIN }, ALICE.id))
  t.true(isProven({ entry: REMOVED, signer: undefined }, ALICE.id))
  t.false(isProven({ entry: ADMIN, signer: undefined }, BOB.id))
  t.false(isProven({ entry: MEMBER, signer: undefined }, ALICE.id))
  t.false(isProven({ entry: MEMBER, signer: MEMBER }, ALICE.id))
  t.false(isProven({ entry: ADMIN, signer: ADMIN }, ALICE.id))
})

test('what an admin signed under an earlier or later grant, or what no admin signed, is not proven', t => {
  const other = signed({ ...ADMIN, version: 5, grant: 5 }, ALICE)
  t.false(isProven({ entry: MEMBER, signer: other }, ALICE.id))
  const plain = signed({ ...ADMIN, admin: false, grant: 0 }, ALICE)
  t.false(isProven({ entry: MEMBER, signer: plain }, ALICE.id))
  const renamed = signed({ ...ADMIN, version: 9 }, ALICE)
  t.true(isProven({ entry: MEMBER, signer: renamed }, ALICE.id))
})

test('an admin whom the root did not sign, or whose signature is wrong, proves nothing', t => {
  const forger = generateKeyPair()
  const own = signed({ ...ADMIN, network: forger.id }, forger)
  t.false(isProven({ entry: MEMBER, signer: own }, ALICE.id))
  t.false(isProven({ entry: MEMBER, signer: { ...ADMIN, signature: new Uint8Array(64) } }, ALICE.id))
  t.false(isProven({ entry: { ...MEMBER, signature: REMOVED.signature }, signer: ADMIN }, ALICE.id))
})

test('a chain is read as it was written, and nothing may follow', t => {
  for (const chain of [
    { entry: ADMIN, signer: undefined },
    { entry: MEMBER, signer: ADMIN },
  ]) {
    t.deepEqual(decodeChain(encodeChain(chain)), chain)
    t.throws(() => decodeChain(Buffer.concat([encodeChain(chain), Buffer.alloc(ENTRY_BYTES)])), MALFORMED)
  }
  t.throws(() => decodeChain(encodeEntry(MEMBER)), MALFORMED)
  t.throws(() => decodeChain(Buffer.concat([encodeEntry(MEMBER), encodeEntry(MEMBER)])), MALFORMED)
})

test('no signer may say these', t => {
  const faults: readonly Partial<EntryBody>[] = [
    { version: 0 },
    { issuedAt: LAST_SECOND + 1 },
    { admin: false, grant: 0, notAfter: LAST_SECOND + 1 },
    { peer: ALICE.id },
    { grant: 0 },
    { grant: 4 },
    { admin: false },
    { removed: true },
    { removed: true, admin: false, grant: 0 },
    { removed: true, admin: false, grant: 0, details: NO_DETAILS, notAfter: 1 },
    { notAfter: 1_827_136_000 },
    { signer: RELAY.id },
    { signer: RELAY.id, admin: false, grant: 0 },
    { signer: BOB.id, admin: false },
  ]
  for (const fault of faults) {
    t.truthy(entryFault({ ...ADMIN, ...fault }), JSON.stringify(fault))
    t.throws(() => decodeEntry(encodeEntry({ ...ADMIN, ...fault })), MALFORMED)
  }
})

test('flags that nobody knows yet, and counts beyond what a number holds, are malformed', t => {
  const flags = fromHex(ENTRIES[0]?.hex ?? '')
  flags[96] = 4
  t.throws(() => decodeEntry(flags), MALFORMED)
  const count = fromHex(ENTRIES[0]?.hex ?? '')
  count[64] = 0x80
  t.throws(() => decodeEntry(count), MALFORMED)
})

test('a statement is an entry with the details that it names, or a removal without any', t => {
  for (const statement of [
    { entry: MEMBER, details: DETAILS },
    { entry: REMOVED, details: undefined },
  ]) {
    t.deepEqual(decodeStatement(encodeStatement(statement)), statement)
  }
  t.throws(() => decodeStatement(encodeEntry(MEMBER)), MALFORMED)
  t.throws(() => decodeStatement(encodeStatement({ entry: REMOVED, details: DETAILS })), MALFORMED)
  t.throws(
    () => decodeStatement(encodeStatement({ entry: MEMBER, details: { ...DETAILS, name: 'cellar' } })),
    MALFORMED,
  )
})

test('names and roles that are none are not read: they would come into commands and pages', t => {
  const details = [
    { ...DETAILS, name: '' },
    { ...DETAILS, name: 'a b' },
    { ...DETAILS, name: 'attic\n' },
    { ...DETAILS, name: BOB.id },
    { ...DETAILS, name: 'a'.repeat(64) },
    { ...DETAILS, roles: ['ops', 'family'] },
    { ...DETAILS, roles: ['ops', 'ops'] },
    { ...DETAILS, roles: ['*'] },
    { ...DETAILS, roles: ['admin'] },
    { ...DETAILS, roles: Array.from({ length: MAX_ROLES + 1 }, (_, i) => `r${String(i).padStart(2, '0')}`) },
  ]
  for (const faulty of details) t.throws(() => encodeDetails(faulty), MALFORMED, JSON.stringify(faulty.name))
  t.throws(() => decodeDetails(fromHex(DETAILS_HEX.replace('6174746963', '6174740a63'))), MALFORMED)
  t.throws(() => decodeDetails(fromHex(`${DETAILS_HEX} 00`)), MALFORMED)
  t.throws(() => decodeDetails(fromHex(DETAILS_HEX).subarray(0, -1)), MALFORMED)
  t.throws(() => decodeDetails(Buffer.alloc(MAX_DETAILS_BYTES + 1)), MALFORMED)
})

test('the largest details fit, roles are put in order, and the salt is drawn', t => {
  const role = (n: number) => `${String(n).padStart(2, '0')}${'r'.repeat(61)}`
  const roles = Array.from({ length: MAX_ROLES }, (_, i) => role(MAX_ROLES - i))
  const largest = memberDetails('n'.repeat(63), [...roles, ...roles], systemRandom)
  t.is(encodeDetails(largest).length, MAX_DETAILS_BYTES)
  t.deepEqual(decodeDetails(encodeDetails(largest)), largest)
  t.deepEqual(largest.roles, roles.toReversed())
  t.notDeepEqual(largest.salt, memberDetails('n', [], systemRandom).salt)
})

function signed(body: EntryBody, key: typeof ALICE): Entry {
  const { signer: _, ...rest } = body
  return signEntry(rest, key)
}
