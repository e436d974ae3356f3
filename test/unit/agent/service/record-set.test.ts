import test from 'ava'
import { AddressBook, type RecordFrom } from '../../../../agent/rendezvous/address-book.ts'
import { RecordSet } from '../../../../agent/service/record-set.ts'
import { signAddressRecord } from '../../../../common/platform/address-record-proof.ts'
import type { KeyPair } from '../../../../common/platform/ed25519.ts'
import type { PeerId } from '../../../../common/wire/peer-id.ts'
import { keyOf } from '../trust/statements.ts'

const [OWN, MEMBER, PINNED, STRANGER] = [keyOf(1), keyOf(2), keyOf(3), keyOf(4)]
const recordOf = (key: KeyPair, sequence: number) =>
  signAddressRecord({ sequence, places: [], relays: [], candidates: [] }, key)

function scene(count = 3) {
  const trusted = new Set([MEMBER.id, PINNED.id])
  const book = new AddressBook({
    wallNow: () => 1_750_000_000_000,
    isTrusted: peer => trusted.has(peer),
    isPinned: peer => peer === PINNED.id,
    onNew: () => undefined,
  })
  const takeSoon = (bytes: Uint8Array, from: RecordFrom) => book.takeSoon(bytes, from)
  const network = {
    roster: { revision: 1, size: 0, statements: () => [][Symbol.iterator]() },
    count,
    isMember: (peer: PeerId) => peer === MEMBER.id,
  }
  const own = { bytes: recordOf(OWN, 1) }
  return { set: new RecordSet(network, { own, book, takeSoon }), book, own }
}
const texts = (set: RecordSet) => [...set.items()].map(item => Buffer.from(item.encode()).toString('hex'))
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

test('members are told our record and those of members, and not where a peer is that only the config names', async t => {
  const { set, own } = scene()
  const [member, pinned] = [recordOf(MEMBER, 5), recordOf(PINNED, 5)]
  const before = set.revision
  await set.take([member, pinned, recordOf(STRANGER, 5)])
  t.not(set.revision, before)
  t.deepEqual(texts(set), [hexOf(own.bytes), hexOf(member)])
  await t.throwsAsync(async () => set.take([Uint8Array.of(1, 2, 3)]), { code: 'wire-malformed' })
})

test('a new record is told once, and an older one that comes again is nothing', async t => {
  const { set } = scene()
  t.is(set.newsOf(MEMBER.id), undefined)
  await set.take([recordOf(MEMBER, 5)])
  t.is(hexOf(set.newsOf(MEMBER.id)?.encode() ?? new Uint8Array()), hexOf(recordOf(MEMBER, 5)))
  await set.take([recordOf(MEMBER, 4)])
  t.is(set.newsOf(MEMBER.id), undefined)
  await set.take([recordOf(MEMBER, 6)])
  t.truthy(set.newsOf(MEMBER.id))
  await set.take([recordOf(PINNED, 6)])
  t.is(set.newsOf(PINNED.id), undefined)
})

test('in a large network each tells its own alone', async t => {
  const { set, own } = scene(5_000)
  await set.take([recordOf(MEMBER, 5)])
  t.deepEqual(texts(set), [hexOf(own.bytes)])
})
