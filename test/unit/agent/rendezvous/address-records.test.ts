import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { AddressRecords } from '../../../../agent/rendezvous/address-records.ts'
import { dialledBy } from '../../../../agent/rendezvous/dialled-by.ts'
import { relayAddresses } from '../../../../agent/rendezvous/relay-addresses.ts'
import { CulvertError } from '../../../../common/errors.ts'
import { signAddressRecord } from '../../../../common/platform/address-record-proof.ts'
import { createLog } from '../../../../common/platform/log.ts'
import type { Candidate } from '../../../../common/wire/candidate.ts'
import type { PeerId } from '../../../../common/wire/peer-id.ts'
import { RECORD } from '../../../vectors/address-records.ts'
import { ALICE, BOB, RELAY } from '../../../vectors/keys.ts'
import { FakeClock } from '../../fake-clock.ts'

const malformed = { instanceOf: CulvertError, code: 'wire-malformed' } as const
const LOG = createLog({ level: 'error', style: 'words', write: () => undefined })

const tcp = (address: string, how: Candidate['how'] = 'lan'): Candidate => ({
  kind: 'tcp',
  how,
  endpoint: { address, port: 4001 },
})

async function temporary(t: ExecutionContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'culvert-records-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  return directory
}

async function open(stateDir: string, clock = new FakeClock()) {
  const learnt: PeerId[] = []
  const told: number[] = []
  const records: AddressRecords = await AddressRecords.open({
    stateDir,
    identity: ALICE,
    clock,
    log: LOG,
    isTrusted: peer => peer === BOB.id,
    isPinned: () => false,
    places: () => [0xbeef],
    look: () => ({ relays: RECORD.relays, candidates: [tcp('192.168.1.20')], certain: true }),
    onOwn: () => told.push(records.own.sequence),
    onLearnt: peer => learnt.push(peer),
  })
  return { records, learnt, told, clock }
}

const bobs = (sequence: number, candidates: readonly Candidate[] = RECORD.candidates) =>
  signAddressRecord({ ...RECORD, sequence, candidates }, BOB)

test('what was learnt and made outlasts the agent, and who wants a peer is told what is new', async t => {
  const stateDir = await temporary(t)
  const before = await open(stateDir)
  before.records.takeFrom(BOB.id, bobs(5))
  t.false(before.records.take(bobs(5), 'member'))
  t.true(before.records.take(bobs(6), 'member'))
  t.deepEqual(before.learnt, [BOB.id])
  before.clock.advance(6_000)
  while (before.told.length === 0) await new Promise(setImmediate)
  await before.records.close()

  const after = await open(stateDir)
  t.is(after.records.book.get(BOB.id)?.sequence, 6)
  t.deepEqual([after.records.own.sequence], before.told)
  t.deepEqual(
    after.records.source.addresses(BOB.id).map(({ source, how, endpoint }) => [source, how, endpoint.address]),
    [
      ['record', 'lan', '192.168.1.20'],
      ['record', 'ipv6', '2001:db8::42'],
    ],
  )
  t.deepEqual(after.records.source.addresses(RELAY.id), [])
  t.deepEqual(after.records.homesOf(BOB.id), { relays: RECORD.relays, near: true })
  // With DNS away at the start, a relay is dialled where its name led last.
  const [named, numbered] = relayAddresses(
    RECORD.relays.map(({ url }) => ({ url, id: undefined })),
    {},
    url => after.records.relayAddress(url),
  )
  t.deepEqual(named?.known, { name: 'relay.example.org', address: '203.0.113.5' })
  t.deepEqual(numbered?.known, { name: '2001:db8::1' })
  await after.records.close()
  t.is(after.clock.timers, 0)
})

test('a peer tells its own record and no other; its word on ours makes a later one', async t => {
  const { records, clock, told } = await open(await temporary(t))
  t.throws(() => records.takeFrom(RELAY.id, bobs(5)), malformed)
  t.throws(() => records.take(bobs(5).subarray(1), 'member'), malformed)
  const ahead = 4_000_000_000_000
  t.false(records.take(signAddressRecord({ ...RECORD, sequence: ahead }, ALICE), 'member'))
  clock.advance(6_000)
  while (told.length === 0) await new Promise(setImmediate)
  t.deepEqual(told, [ahead + 1])
  await records.close()
})

test('of one peer others bring six records in ten seconds, and those that are forged keep out none', async t => {
  const { records, clock } = await open(await temporary(t))
  const forged = Buffer.from(bobs(100))
  forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1
  for (let n = 0; n < 10; n++) await t.throwsAsync(records.takeSoon(forged, 'member'), malformed)
  for (let sequence = 1; sequence <= 50; sequence++) await records.takeSoon(bobs(sequence), 'member')
  t.is(records.book.get(BOB.id)?.sequence, 6)
  clock.advance(10_000)
  t.true(await records.takeSoon(bobs(60), 'member'))
  t.false(await records.takeSoon(bobs(50), 'member'), 'an older one')
  t.false(await records.takeSoon(signAddressRecord(RECORD, RELAY), 'member'), 'of a stranger')
  // Of two that come at once the newer stays.
  await Promise.all([62, 61].map(sequence => records.takeSoon(bobs(sequence), 'member')))
  t.is(records.book.get(BOB.id)?.sequence, 62)
  await records.close()
})

test('by a record from afar nothing is dialled but public addresses, and loopback never', t => {
  const candidates = [
    tcp('192.168.1.1'),
    tcp('10.0.0.1'),
    tcp('100.64.0.1', 'mapped'),
    tcp('fd00::1'),
    tcp('127.0.0.1'),
    tcp('::1'),
    tcp('::ffff:127.0.0.1'),
    tcp('::ffff:192.168.1.1'),
    tcp('64:ff9b::c0a8:101'),
    tcp('2002:c0a8:101::1'),
    tcp('169.254.169.254'),
    tcp('fe80::1'),
    tcp('224.0.0.251'),
    tcp('0.0.0.0'),
    tcp('203.0.113.9', 'mapped'),
    tcp('203.0.113.10', 'punched'),
    { ...tcp('203.0.113.11'), kind: 'udp' as const },
  ]
  const dialled = (places: readonly number[], of = candidates) =>
    dialledBy({ ...RECORD, places: [1, 2], candidates: of }, places).map(({ endpoint }) => endpoint.address)
  t.deepEqual(dialled([3, 4]), ['203.0.113.9'])
  t.deepEqual(dialled([]), ['203.0.113.9'])
  t.deepEqual(dialled([4, 2], candidates.slice(0, 7)), ['192.168.1.1', '10.0.0.1', '100.64.0.1', 'fd00::1'])
  t.is(dialled([1], new Array(32).fill(tcp('10.0.0.1'))).length, 8)
})
