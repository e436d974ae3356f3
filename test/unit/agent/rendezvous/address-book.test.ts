import test from 'ava'
import { AddressBook, type KeptRecord, MAX_RECORDS, recordAgeMs } from '../../../../agent/rendezvous/address-book.ts'
import { decodeBook, encodeBook } from '../../../../agent/rendezvous/address-book-file.ts'
import { CulvertError } from '../../../../common/errors.ts'
import { signAddressRecord } from '../../../../common/platform/address-record-proof.ts'
import { type KeyPair, keyPairFromSeed } from '../../../../common/platform/ed25519.ts'
import type { PeerId } from '../../../../common/wire/peer-id.ts'
import { RECORD } from '../../../vectors/address-records.ts'
import { ALICE, BOB, RELAY } from '../../../vectors/keys.ts'

const NOW = Date.UTC(2026, 5)
const DAY = 24 * 3_600_000

function bookOf(trusted: readonly PeerId[], pinned: readonly PeerId[] = [], kept: readonly KeptRecord[] = []) {
  const news: string[] = []
  const trust = new Set(trusted)
  const book = new AddressBook(
    {
      wallNow: () => NOW,
      isTrusted: peer => trust.has(peer),
      isPinned: peer => pinned.includes(peer),
      onNew: ({ peer, sequence }, changed) => news.push(`${peer.slice(0, 4)} ${sequence} ${changed ? 'new' : 'same'}`),
    },
    kept,
  )
  return { book, news, trust }
}

const signed = (sequence: number, key: KeyPair = ALICE, candidates = RECORD.candidates) =>
  signAddressRecord({ ...RECORD, sequence, candidates }, key)

test('the record with the highest number is kept, in whatever order they come', t => {
  const { book, news } = bookOf([ALICE.id])
  t.true(book.take(signed(5), 'member'))
  t.false(book.take(signed(4), 'peer'))
  t.false(book.take(signed(5), 'peer'))
  t.true(book.take(signed(6), 'peer'))
  t.true(book.take(signed(7, ALICE, []), 'peer'))
  t.is(book.get(ALICE.id)?.sequence, 7)
  const name = ALICE.id.slice(0, 4)
  t.deepEqual(news, [`${name} 5 new`, `${name} 6 same`, `${name} 7 new`])
})

test('of two with one number everybody keeps the same one', t => {
  const [one, other] = [signed(5), signed(5, ALICE, [])]
  const kept = [
    [one, other],
    [other, one],
  ].map(order => {
    const { book } = bookOf([ALICE.id])
    for (const bytes of order) book.take(bytes, 'member')
    return book.get(ALICE.id)?.bytes
  })
  t.deepEqual(kept[0], kept[1])
})

test('nothing is taken of strangers, and nothing that is not signed by its peer', t => {
  const { book } = bookOf([ALICE.id])
  t.false(book.take(signed(5, BOB), 'member'))
  t.is(book.get(BOB.id), undefined)
  const forged = Uint8Array.from(signed(6))
  forged.set(signed(6, BOB).subarray(-64), forged.length - 64)
  t.throws(() => book.take(forged, 'member'), { instanceOf: CulvertError, code: 'wire-malformed' })
  t.is(book.get(ALICE.id), undefined)
})

test('who is not trusted any more is told to nobody, and not kept on disk', t => {
  const { book, trust } = bookOf([ALICE.id, BOB.id])
  book.take(signed(5), 'peer')
  book.take(signed(5, BOB), 'peer')
  trust.delete(BOB.id)
  t.is(book.get(BOB.id), undefined)
  t.deepEqual(
    book.list().map(({ peer }) => peer),
    [ALICE.id],
  )
})

test('of too many, those that came first go, and pinned peers last', t => {
  const keys = Array.from({ length: MAX_RECORDS + 20 }, (_, i) => {
    const seed = new Uint8Array(32)
    new DataView(seed.buffer).setUint32(0, i + 1)
    return keyPairFromSeed(seed)
  })
  const pinned = keys.slice(0, 2).map(({ id }) => id)
  const { book } = bookOf(
    keys.map(({ id }) => id),
    pinned,
  )
  for (const key of keys) book.take(signed(5, key), 'member')
  t.is(book.list().length, MAX_RECORDS)
  const known = keys.map(({ id }) => book.get(id) !== undefined)
  t.deepEqual(known.slice(0, 2), [true, true])
  t.deepEqual(known.slice(2, 22), new Array(20).fill(false))
  t.true(known.slice(22).every(Boolean))
})

test('what is written is read back, and a damaged file is none', t => {
  const { book } = bookOf([ALICE.id, BOB.id])
  book.take(signed(5), 'peer')
  book.take(signed(9, BOB), 'member')
  const text = encodeBook(book.list())
  const read = decodeBook(text)
  t.deepEqual(read, book.list())
  t.deepEqual(bookOf([ALICE.id, BOB.id], [], read).book.list(), book.list())
  t.deepEqual(decodeBook(encodeBook([])), [])
  for (let at = 0; at < text.length - 1; at++) {
    t.is(decodeBook(text.slice(0, at)), undefined)
    const flipped = `${text.slice(0, at)}${text[at] === '0' ? '1' : '0'}${text.slice(at + 1)}`
    const found = decodeBook(flipped)
    t.true(found === undefined || encodeBook(found) === text, `byte ${at}`)
  }
})

test('a record is as old as its peer says, unless that clock or ours cannot be right', t => {
  t.is(recordAgeMs({ sequence: NOW - DAY, heardAt: NOW }, NOW), DAY)
  t.is(recordAgeMs({ sequence: 5, heardAt: NOW - DAY }, NOW), DAY)
  t.is(recordAgeMs({ sequence: NOW + 10 * DAY, heardAt: NOW - DAY }, NOW), DAY)
  t.is(recordAgeMs({ sequence: NOW + 60_000, heardAt: NOW }, NOW), 0)
  t.is(recordAgeMs({ sequence: NOW, heardAt: NOW }, 1_000_000), undefined)
  t.is(recordAgeMs({ sequence: RELAY.id.length, heardAt: 7 }, NOW), undefined)
})
