import test from 'ava'
import { dhtItem, openSealed, sealRecord } from '../../agent/rendezvous/dht/dht-item.ts'
import { type Dht, runDht } from '../../agent/rendezvous/dht/dht-run.ts'
import { type Clock, systemClock } from '../../common/platform/clock.ts'
import { systemRandom } from '../../common/platform/random.ts'
import { openUdpSocket } from '../../common/platform/udp-socket.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import { mutateBytes, seededDraw } from '../unit/mutate.ts'
import { RECORD_HEX } from '../vectors/address-records.ts'
import { ALICE, BOB, fromHex } from '../vectors/keys.ts'
import { startDhtNodes, startFalseNode } from './dht-nodes.ts'

const never = new AbortController().signal
const SECRET = systemRandom.bytes(32)
const RECORD = new Uint8Array(fromHex(RECORD_HEX))
const open = () => openUdpSocket({ family: 4, address: '127.0.0.1' })

function run<T>(
  nodes: readonly Endpoint[],
  work: (dht: Dht) => Promise<T>,
  signal = never,
  clock: Clock = systemClock,
) {
  return runDht({ clock, open, nodes, signal }, work)
}

test('a record that is put into the DHT is found there by who knows the secret, through any node', async t => {
  await using dht = await startDhtNodes(24)
  const item = dhtItem(SECRET, ALICE.id, 20_000)
  const value = sealRecord(item, RECORD, systemRandom)
  if (!value) return t.fail('it does not fit')
  const put = await run(dht.endpoints.slice(0, 1), it => it.put(item.key, value, 5))
  t.true(put.result >= 8, `${put.result} nodes`)
  t.true(put.nodes.length >= 8)
  const get = await run(dht.endpoints.slice(-1), it => it.get(item.key.id))
  t.deepEqual(openSealed(item, get.result ?? new Uint8Array(0)), RECORD)
  const other = dhtItem(SECRET, BOB.id, 20_000)
  t.is((await run(put.nodes, it => it.get(other.key.id))).result, undefined)

  const newer = sealRecord(item, RECORD.subarray(0, 100), systemRandom)
  if (!newer) return t.fail('it does not fit')
  await run(put.nodes, it => it.put(item.key, newer, 6))
  const again = await run(get.nodes, it => it.get(item.key.id))
  t.deepEqual(openSealed(item, again.result ?? new Uint8Array(0)), RECORD.subarray(0, 100))
  const bytes = ({ bytesOut, bytesIn }: { readonly bytesOut: number; readonly bytesIn: number }) =>
    `${Math.round(bytesOut / 100) / 10} kB out, ${Math.round(bytesIn / 100) / 10} kB in`
  t.log(`put: ${bytes(put.traffic)}; get: ${bytes(get.traffic)}`)
})

test('what other nodes answer ends nothing but the search: 3,000 mutations, and what is no answer at all', async t => {
  await using dht = await startDhtNodes(2)
  const item = dhtItem(SECRET, ALICE.id, 20_000)
  const value = sealRecord(item, RECORD, systemRandom)
  const [honest] = dht.endpoints
  if (!value || !honest) return t.fail('no value')
  await run([honest], it => it.put(item.key, value, 5))
  let seed = 0
  const stray = ['', 'd', 'd1:y1:re', 'd1:y1:qe', `${'l'.repeat(1_400)}`, 'i1e', 'd1:t2:xx1:y1:r1:rd2:idi5eee'].map(
    text => Buffer.from(text, 'latin1'),
  )
  const answers = (query: Buffer) => {
    const transaction = /1:t2:(..)/s.exec(query.toString('latin1'))?.[1] ?? 'xx'
    const id = 'a'.repeat(20)
    const body = `d2:id20:${id}1:k32:${'k'.repeat(32)}5:nodes26:${id}\u007f\u0000\u0000\u0001\u0001\u00013:seqi7e3:sig64:${'s'.repeat(64)}5:token4:toke1:v3:vale`
    const whole = Buffer.from(`d1:rd${body.slice(1)}1:t2:${transaction}1:y1:re`, 'latin1')
    const mutants = Array.from({ length: 300 }, () => {
      const mutant = mutateBytes(whole, seededDraw(seed++), 1_400)
      // Mostly one that is taken for the answer.
      const at = mutant.indexOf('1:t2:')
      if (at >= 0 && at + 7 <= mutant.length) mutant.write(transaction, at + 5, 'latin1')
      return mutant
    })
    return [...stray, ...mutants]
  }
  await using evil = await startFalseNode(answers)
  while (seed < 3_000) {
    const soon = AbortSignal.timeout(400)
    await run([evil.endpoint, honest], it => it.get(item.key.id), soon).catch(() => undefined)
  }
  const found = await run([honest], it => it.get(item.key.id))
  t.deepEqual(openSealed(item, found.result ?? new Uint8Array(0)), RECORD)
})

test('we answer nobody, say so, and send to no address of another kind of network', async t => {
  const nodes = (address: readonly number[], port: number) =>
    Buffer.from([...Buffer.from('b'.repeat(20)), ...address, port >> 8, port & 0xff]).toString('latin1')
  await using bystander = await startFalseNode(() => [])
  const told = `${nodes([10, 0, 0, 1], 53)}${nodes([192, 168, 1, 1], 53)}${nodes([0, 0, 0, 0], bystander.endpoint.port)}`
  await using node = await startFalseNode(query => {
    const transaction = /1:t2:(..)/s.exec(query.toString('latin1'))?.[1] ?? 'xx'
    const answer = `d1:rd2:id20:${'c'.repeat(20)}5:nodes${told.length}:${told}5:token4:tokee1:t2:${transaction}1:y1:re`
    const question = `d1:ad2:id20:${'c'.repeat(20)}e1:q4:ping1:t2:zz1:y1:qe`
    return [Buffer.from(question, 'latin1'), Buffer.from(answer, 'latin1')]
  })
  const key = dhtItem(SECRET, ALICE.id, 20_000).key.id
  t.is((await run([node.endpoint], it => it.get(key))).result, undefined)
  t.true(node.heard.length > 0)
  t.true(node.heard.every(packet => packet.includes('1:y1:q') && packet.includes('2:roi1e1:t2:')))
  t.deepEqual(bystander.heard, [])
})

test('a run that gets no answer ends with its time, or when it is not wanted any more', async t => {
  await using silent = await startFalseNode(() => [])
  const stop = new AbortController()
  const ended = run([silent.endpoint], () => new Promise(() => undefined), stop.signal)
  stop.abort(new Error('not wanted'))
  await t.throwsAsync(ended, { message: 'not wanted' })
  const late: Clock = { ...systemClock, after: (_ms, then) => systemClock.after(1, then) }
  await t.throwsAsync(run([silent.endpoint], () => new Promise(() => undefined), never, late))
})
