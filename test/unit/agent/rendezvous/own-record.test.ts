import test from 'ava'
import { type OwnPlace, OwnRecord, recordContent } from '../../../../agent/rendezvous/own-record.ts'
import { openAddressRecord, signAddressRecord } from '../../../../common/platform/address-record-proof.ts'
import type { AddressRecord } from '../../../../common/wire/address-record.ts'
import type { Candidate, DirectHow } from '../../../../common/wire/candidate.ts'
import { ALICE, RELAY } from '../../../vectors/keys.ts'
import { FakeClock } from '../../fake-clock.ts'

const MINUTE = 60_000
const HOUR = 3_600_000

const tcp = (how: DirectHow, address: string, port = 4001): Candidate => ({
  kind: 'tcp',
  how,
  endpoint: { address, port },
})
const LAN = tcp('lan', '192.168.1.20')
const MAPPED = tcp('mapped', '203.0.113.9')
const PLACE: OwnPlace = { places: [7], relays: [], candidates: [LAN, MAPPED], certain: true }

interface Bench {
  readonly own: OwnRecord
  readonly clock: FakeClock
  readonly told: AddressRecord[]
  readonly written: Uint8Array[]
  look: OwnPlace
  /** Lets time pass, and what falls due be written. */
  pass(ms: number): Promise<void>
}

function bench(before?: AddressRecord, look: OwnPlace = PLACE): Bench {
  const clock = new FakeClock()
  const told: AddressRecord[] = []
  const written: Uint8Array[] = []
  const own = new OwnRecord(
    {
      clock,
      look: () => it.look,
      sign: record => signAddressRecord(record, ALICE),
      write: async bytes => {
        written.push(bytes)
      },
      onNew: bytes => told.push(openAddressRecord(bytes)),
    },
    before && { record: before, bytes: signAddressRecord(before, ALICE) },
  )
  const pass = async (ms: number) => {
    clock.advance(ms)
    await new Promise(setImmediate)
  }
  const it: Bench = { own, clock, told, written, look, pass }
  return it
}

const recordOf = (sequence: number, content: Partial<AddressRecord> = {}): AddressRecord => ({
  peer: ALICE.id,
  sequence,
  places: PLACE.places,
  relays: PLACE.relays,
  candidates: PLACE.candidates,
  ...content,
})

test('a record tells TCP addresses that others may reach, and nothing that means something only here', t => {
  const candidates = [
    LAN,
    { ...LAN, kind: 'udp' as const },
    tcp('lan', 'fe80::1'),
    tcp('lan', '127.0.0.1'),
    tcp('ipv6', '2001:db8::42'),
    ...Array.from({ length: 20 }, (_, i) => tcp('lan', `10.0.0.${i}`)),
  ]
  const told = recordContent({ ...PLACE, candidates }, undefined).candidates
  t.deepEqual(told.slice(0, 3), [LAN, tcp('ipv6', '2001:db8::42'), tcp('lan', '10.0.0.0')])
  t.is(told.length, 12)
})

test('with nobody to look from outside, a mapped address is kept for as long as the place is the same', t => {
  const before = recordOf(1, { candidates: [LAN, MAPPED, tcp('public', '203.0.113.9', 5000)] })
  const alone = { ...PLACE, candidates: [tcp('lan', '192.168.1.21')], certain: false }
  const kept = [tcp('lan', '192.168.1.21'), MAPPED, tcp('public', '203.0.113.9', 5000)]
  t.deepEqual(recordContent(alone, before).candidates, kept)
  t.deepEqual(recordContent({ ...alone, places: [] }, before).candidates, kept)
  t.deepEqual(recordContent({ ...alone, places: [] }, before).places, [7])
  t.deepEqual(recordContent({ ...alone, places: [8] }, before).candidates, alone.candidates)
  t.deepEqual(recordContent({ ...alone, certain: true }, before).candidates, alone.candidates)
})

test('what was known of a relay stays known while it is away', t => {
  const relay = { url: 'https://relay.example.org', id: undefined, address: undefined }
  const before = recordOf(1, { relays: [{ ...relay, id: RELAY.id, address: '203.0.113.5' }] })
  t.deepEqual(recordContent({ ...PLACE, relays: [relay] }, before).relays, before.relays)
  const moved = { ...relay, address: '203.0.113.6' }
  t.deepEqual(recordContent({ ...PLACE, relays: [moved] }, before).relays, [{ ...moved, id: RELAY.id }])
  t.deepEqual(recordContent({ ...PLACE, relays: [] }, before).relays, [])
})

test('a record is made when things have settled, kept before it is told, and not again while it says the same', async t => {
  const it = bench()
  await it.pass(4_000)
  it.own.changed()
  t.is(it.own.bytes, undefined)
  await it.pass(1_500)
  t.is(it.told.length, 1)
  t.deepEqual(it.told[0]?.candidates, [LAN, MAPPED])
  t.is(it.written.length, 1)
  for (let i = 0; i < 30; i++) {
    it.own.changed()
    await it.pass(MINUTE)
  }
  t.is(it.told.length, 1)
})

test('one that was kept from before is told at once, and made again only when something has changed', async t => {
  const before = recordOf(1_700_000_000_000)
  const it = bench(before)
  t.deepEqual(openAddressRecord(it.own.bytes ?? new Uint8Array(0)), before)
  await it.pass(HOUR)
  t.is(it.told.length, 0)
  it.look = { ...PLACE, candidates: [LAN] }
  it.own.changed()
  await it.pass(6_000)
  t.is(it.told.length, 1)
  t.true((it.told[0]?.sequence ?? 0) > before.sequence)
})

test('addresses that change all the time cost fewer and fewer records', async t => {
  const it = bench()
  for (let minute = 0; minute < 24 * 60; minute++) {
    it.look = { ...PLACE, candidates: [tcp('lan', `10.0.${minute >> 8}.${minute & 0xff}`)] }
    it.own.changed()
    await it.pass(MINUTE)
  }
  t.true(it.written.length < 60, `${it.written.length} in a day`)
  t.true(it.written.length > 40)
})

test('a record that says the same is made anew once a day', async t => {
  const it = bench()
  for (let hour = 0; hour < 24 * 7; hour++) await it.pass(HOUR)
  t.true(it.told.length >= 7 && it.told.length <= 8, `${it.told.length} in a week`)
})

test('the number never goes back, whatever the clock says', async t => {
  const future = recordOf(4_000_000_000_000, { candidates: [LAN] })
  const it = bench(future)
  await it.pass(6_000)
  t.is(it.told[0]?.sequence, future.sequence + 1)
})

test('where others have a later record of ours, the next one is later still', async t => {
  const it = bench(recordOf(1_700_000_000_000))
  it.own.heard(1_900_000_000_000)
  it.own.heard(1_800_000_000_000)
  await it.pass(6_000)
  t.deepEqual(
    it.told.map(({ sequence }) => sequence),
    [1_900_000_000_001],
  )
  it.own.heard(1_800_000_000_000)
  it.own.heard(1_900_000_000_001)
  await it.pass(HOUR)
  t.is(it.told.length, 1)
})

test('one that is closed makes no more', async t => {
  const it = bench()
  await it.own.close()
  await it.pass(HOUR)
  t.is(it.told.length, 0)
  t.is(it.clock.timers, 0)
})
