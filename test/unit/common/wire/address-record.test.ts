import test from 'ava'
import fc from 'fast-check'
import { CulvertError } from '../../../../common/errors.ts'
import { openAddressRecord, signAddressRecord } from '../../../../common/platform/address-record-proof.ts'
import { addressFromBytes } from '../../../../common/wire/address-bytes.ts'
import {
  type AddressRecord,
  MAX_ADDRESS_RECORD_BYTES,
  readAddressRecord,
} from '../../../../common/wire/address-record.ts'
import type { Candidate } from '../../../../common/wire/candidate.ts'
import {
  CARRYING_RECORD,
  CARRYING_RECORD_HEX,
  EMPTY_RECORD,
  EMPTY_RECORD_HEX,
  RECORD,
  RECORD_HEX,
} from '../../../vectors/address-records.ts'
import { ALICE, BOB, fromHex, RELAY } from '../../../vectors/keys.ts'

const malformed = { instanceOf: CulvertError, code: 'wire-malformed' } as const
const ipv6 = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(bytes => addressFromBytes(bytes))
const address = fc.oneof(fc.ipV4(), ipv6)
const url = fc
  .tuple(fc.constantFrom('http', 'https'), fc.oneof(fc.domain(), fc.ipV4()), fc.integer({ min: 1, max: 65535 }))
  .map(([scheme, host, port]) => new URL(`${scheme}://${host.slice(0, 150)}:${port}`).origin)
const record: fc.Arbitrary<Omit<AddressRecord, 'peer'>> = fc.record({
  sequence: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
  places: fc.array(fc.nat({ max: 0xffff }), { maxLength: 6 }),
  relays: fc.array(
    fc.record({
      url,
      id: fc.constantFrom(undefined, RELAY.id),
      address: fc.option(address, { nil: undefined }),
    }),
    { maxLength: 6 },
  ),
  candidates: fc.array(
    fc.record<Candidate>({
      kind: fc.constantFrom('tcp', 'udp'),
      how: fc.constantFrom('lan', 'public', 'ipv6', 'mapped', 'punched'),
      endpoint: fc.record({ address, port: fc.integer({ min: 1, max: 65535 }) }),
    }),
    { maxLength: 40 },
  ),
})

test('records are written as their vectors, and read from them', t => {
  for (const [record, hex] of [
    [RECORD, RECORD_HEX],
    [EMPTY_RECORD, EMPTY_RECORD_HEX],
    [CARRYING_RECORD, CARRYING_RECORD_HEX],
  ] as const) {
    t.deepEqual(Buffer.from(signAddressRecord(record, ALICE)), fromHex(hex))
    t.deepEqual(openAddressRecord(fromHex(hex)), record)
  }
})

test('any record comes back as it was told, its lists cut to what a record holds, and fits', t => {
  fc.assert(
    fc.property(record, told => {
      const bytes = signAddressRecord(told, BOB)
      t.true(bytes.length <= MAX_ADDRESS_RECORD_BYTES)
      t.deepEqual(openAddressRecord(bytes), {
        peer: BOB.id,
        sequence: told.sequence,
        places: told.places.slice(0, 4),
        relays: told.relays.slice(0, 4),
        candidates: told.candidates.slice(0, 32),
      })
    }),
    { seed: 1, numRuns: 300 },
  )
})

test('a record that another key signed, that was changed or cut, or that is too long is malformed', t => {
  const whole = fromHex(RECORD_HEX)
  const others = fromHex(RECORD_HEX)
  Buffer.from(signAddressRecord(RECORD, BOB)).copy(others, others.length - 64, whole.length - 64)
  t.throws(() => openAddressRecord(others), malformed)
  for (let at = 0; at < whole.length; at++) {
    const changed = Buffer.from(whole)
    changed[at] = (changed[at] ?? 0) ^ 1
    t.throws(() => openAddressRecord(changed), malformed)
    t.throws(() => openAddressRecord(whole.subarray(0, at)), malformed)
  }
  t.throws(() => readAddressRecord(Buffer.alloc(MAX_ADDRESS_RECORD_BYTES + 1)), malformed)
})

test('fields of a newer version, signed as well, are passed over', t => {
  const bytes = fromHex(RECORD_HEX)
  const longer = Buffer.concat([bytes.subarray(0, -64), Buffer.from('new fields'), bytes.subarray(-64)])
  t.deepEqual(readAddressRecord(longer), RECORD)
  t.throws(() => openAddressRecord(longer), malformed)
})

test('relays that cannot be called by HTTP are passed over, and never told', t => {
  const relays = [
    'ftp://relay.example.org',
    'http://user@relay.example.org',
    'http://relay.example.org/path',
    'http://relay.example.org:80',
    'http://relay.example.org:0',
    'relay.example.org',
    'https://relay.example.org',
  ].map(url => ({ url, id: undefined, address: undefined }))
  const told = readAddressRecord(signAddressRecord({ ...RECORD, relays }, ALICE))
  t.deepEqual(
    told.relays.map(({ url }) => url),
    ['https://relay.example.org'],
  )
  const bad = fromHex(RECORD_HEX)
  bad.write('ftp:/', bad.indexOf('https'), 'latin1')
  t.deepEqual(
    readAddressRecord(bad).relays.map(({ url }) => url),
    ['http://[2001:db8::1]:8080'],
  )
})

test('more places or relays than a record has, and a flag that says nothing, are malformed', t => {
  const bytes = fromHex(RECORD_HEX)
  for (const [at, value] of [
    [40, 5],
    [45, 5],
    [73, 2],
  ] as const) {
    const odd = Buffer.from(bytes)
    odd[at] = value
    t.throws(() => readAddressRecord(odd), malformed)
  }
})
