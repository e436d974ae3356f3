import test from 'ava'
import { LanTable } from '../../../../../agent/rendezvous/lan/lan-table.ts'
import { ALICE, BOB } from '../../../../vectors/keys.ts'
import { FakeClock } from '../../../fake-clock.ts'

const at = (host: number) => ({ address: `192.168.1.${host}`, port: 4000 })
const TTL = 60_000

function startTable() {
  const clock = new FakeClock()
  const table = new LanTable(clock)
  const add = (instance: string, peer: typeof ALICE.id | undefined, ...hosts: readonly number[]) =>
    table.add({ instance, print: instance, ttlMs: TTL, peer, endpoints: hosts.map(at) })
  const hostsOf = (peer: typeof ALICE.id) =>
    table.endpoints(peer).map(({ endpoint }) => Number(endpoint.address.split('.')[3]))
  return { clock, table, add, hostsOf }
}

test('a peer is where it showed itself, until its time is over or it says goodbye', t => {
  const { clock, table, add, hostsOf } = startTable()
  add('one', ALICE.id, 1, 2)
  t.deepEqual(hostsOf(ALICE.id), [1, 2])
  clock.advance(TTL - 1)
  t.true(table.refresh('one', 'one', TTL))
  clock.advance(TTL - 1)
  t.true(table.isPresent(ALICE.id))
  clock.advance(1)
  t.false(table.isPresent(ALICE.id))
  t.false(table.refresh('one', 'one', TTL), 'it is news again')
  add('one', ALICE.id, 1)
  t.is(table.remove('one'), ALICE.id)
  t.deepEqual(hostsOf(ALICE.id), [])
})

test('new names of a machine take the place of its old ones; another interface stands beside', t => {
  const { clock, add, hostsOf } = startTable()
  add('old', ALICE.id, 1, 2)
  clock.advance(1)
  add('other', ALICE.id, 7)
  clock.advance(1)
  add('new', ALICE.id, 1, 3)
  t.deepEqual(hostsOf(ALICE.id), [1, 3, 7])
})

test('where every address failed the peer is not present, until it is heard again', t => {
  const { table, add } = startTable()
  add('one', ALICE.id, 1, 2)
  table.failed(ALICE.id, at(1))
  table.failed(ALICE.id, at(1))
  table.failed(BOB.id, at(2))
  t.true(table.isPresent(ALICE.id))
  table.failed(ALICE.id, at(2))
  t.false(table.isPresent(ALICE.id))
  t.true(table.refresh('one', 'one', TTL))
  t.true(table.isPresent(ALICE.id))
})

test('nobody speaks under the name of another', t => {
  const { table, add, hostsOf } = startTable()
  add('one', ALICE.id, 1)
  t.false(table.refresh('one', 'another print', TTL))
  add('one', undefined, 9)
  t.deepEqual(hostsOf(ALICE.id), [1])
  add('two', undefined, 9)
  t.false(table.refresh('two', 'the real one', TTL), 'whoever came first under the name is no reason to miss the owner')
})

test('a flood of strangers neither grows without end nor puts out a peer', t => {
  const { table, add, hostsOf } = startTable()
  add('one', ALICE.id, 1)
  for (let i = 0; i < 5_000; i++) add(`stranger-${i}`, undefined)
  t.deepEqual(hostsOf(ALICE.id), [1])
  for (let i = 0; i < 100; i++) add(`again-${i}`, ALICE.id, 10 + i)
  t.is(hostsOf(ALICE.id).length, 4)
  for (let i = 0; i < 5_000; i++) table.refresh(`stranger-${i}`, `stranger-${i}`, TTL)
  t.is(table.known().length, 12)
})

test('known answers name whoever was heard last, known to us or not', t => {
  const { add, table } = startTable()
  add('one', ALICE.id, 1)
  add('two', undefined)
  t.deepEqual(table.known(), [
    { instance: 'two', ttlS: 60 },
    { instance: 'one', ttlS: 60 },
  ])
})
