import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import test from 'ava'
import { ReachBook } from '../../agent/nat/reach-book.ts'
import { createSealer } from '../../agent/path/seal.ts'
import { listenForPaths } from '../../agent/path/tcp-listener.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import { createLog } from '../../common/platform/log.ts'
import { systemRandom } from '../../common/platform/random.ts'
import { openUdpSocket } from '../../common/platform/udp-socket.ts'
import { reachContent, reachDatagram, reachProbe } from '../../common/wire/reach.ts'
import { Counters } from '../../relay/counters.ts'
import { ReachDesk } from '../../relay/reach-desk.ts'
import { quietPort } from '../quiet-port.ts'
import { testAgent } from './test-agent.ts'
import { stillClock, testRelay } from './test-relay.ts'

const LOOPBACK = '127.0.0.1'
const key = generateKeyPair()
const quiet = createLog({ level: 'error', style: 'words', write: () => undefined })

function openDesk() {
  const counters = new Counters()
  return { counters, desk: new ReachDesk({ clock: stillClock, counters, mayProbe: address => address === LOOPBACK }) }
}

/** An agent's open port, with the probes that it waits for. */
async function openDoor() {
  const book = new ReachBook(key.id, systemRandom)
  const listener = await listenForPaths({
    port: 0,
    ownId: key.id,
    sealer: createSealer(key, systemClock),
    clock: systemClock,
    log: quiet,
    isTrusted: () => false,
    onPath: () => undefined,
    answerToProbe: bytes => book.answerTo('tcp', bytes),
  })
  return { book, port: listener.port, [Symbol.asyncDispose]: () => listener.close() }
}

const wish = (transport: 'tcp' | 'udp', port: number, nonce: Uint8Array) =>
  ({ type: 'reach', check: 1, transport, port, nonce }) as const

test('TCP: an agent that waits for the probe is reached, and knows it by itself', async t => {
  await using door = await openDoor()
  const { desk, counters } = openDesk()
  const expected = door.book.expect('tcp')
  t.is(await desk.look(key.id, LOOPBACK, wish('tcp', door.port, expected.nonce)), 'reached')
  t.true(expected.seen)
  t.is(counters.reachChecks, 1)
})

test('TCP: an agent that does not wait for it says no byte, and a closed port none either', async t => {
  await using door = await openDoor()
  const { desk } = openDesk()
  t.is(await desk.look(key.id, LOOPBACK, wish('tcp', door.port, systemRandom.bytes(16))), 'unreached')
  t.is(await desk.look(key.id, LOOPBACK, wish('tcp', await quietPort(), systemRandom.bytes(16))), 'unreached')
})

test('TCP: another program that answers something is not the agent', async t => {
  const { desk } = openDesk()
  const sockets: Socket[] = []
  const server = createServer(socket => {
    sockets.push(socket)
    socket.on('error', () => undefined).write('220 mail.example.org ESMTP, how do you do?\r\n')
  }).listen(0, LOOPBACK)
  await once(server, 'listening')
  const address = server.address()
  const port = address !== null && typeof address === 'object' ? address.port : 0
  t.is(await desk.look(key.id, LOOPBACK, wish('tcp', port, systemRandom.bytes(16))), 'unreached')
  server.close()
  for (const socket of sockets) socket.destroy()
})

test('TCP: a stranger who knows the peer id and no nonce gets no byte', async t => {
  await using door = await openDoor()
  using _expected = door.book.expect('tcp')
  const socket = connect(door.port, LOOPBACK)
  socket.write(reachProbe(key.id, systemRandom.bytes(16)))
  let heard = 0
  socket.on('data', chunk => {
    heard += chunk.length
  })
  await once(socket, 'close')
  t.is(heard, 0)
})

test('UDP: an agent that answers is reached; silence is not', async t => {
  const { desk } = openDesk()
  const book = new ReachBook(key.id, systemRandom)
  await using socket = await openUdpSocket({ family: 4, address: LOOPBACK })
  socket.receive((bytes, from) => {
    const answer = book.answerTo('udp', reachContent(bytes) ?? new Uint8Array(0))
    if (answer) socket.send(reachDatagram(answer), from)
  })
  const expected = book.expect('udp')
  t.is(await desk.look(key.id, LOOPBACK, wish('udp', socket.local.port, expected.nonce)), 'reached')
  t.true(expected.seen)
  t.is(await desk.look(key.id, LOOPBACK, wish('udp', socket.local.port, systemRandom.bytes(16))), 'unreached')
})

test('an address that may not be looked at is refused, and a line that asks too often is told so', async t => {
  const { desk, counters } = openDesk()
  t.is(await desk.look(key.id, '192.168.1.1', wish('tcp', 80, systemRandom.bytes(16))), 'refused')
  await using door = await openDoor()
  const outcomes: string[] = []
  for (let i = 0; i < 14; i++) {
    outcomes.push(await desk.look(key.id, LOOPBACK, wish('tcp', door.port, systemRandom.bytes(16))))
  }
  t.deepEqual(outcomes, [...Array(12).fill('unreached'), 'busy', 'busy'])
  t.is(counters.refusals.get('reach-address'), 1)
  t.is(counters.refusals.get('reach-rate'), 2)
})

test('a relay says in its welcome that it looks, and does not at addresses that are not public', async t => {
  const { relay } = await testRelay(t)
  const agent = await testAgent(relay.http)
  t.true(agent.welcome.features.includes('reach'))
  agent.line.say({ type: 'reach', check: 7, transport: 'tcp', port: 22, nonce: systemRandom.bytes(16) })
  t.deepEqual(await agent.line.next('reached'), { type: 'reached', check: 7, outcome: 'refused' })
})
