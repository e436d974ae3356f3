import test from 'ava'
import {
  QUICK_RETRANSMISSION,
  retransmissionWaits,
  STANDARD_RETRANSMISSION,
  StunSocket,
  stunRequest,
} from '../../agent/nat/stun-client.ts'
import { tcpStunRequest } from '../../agent/nat/tcp-stun.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { systemRandom } from '../../common/platform/random.ts'
import { listenTcp } from '../../common/platform/tcp.ts'
import { openUdpSocket } from '../../common/platform/udp-socket.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import { decodeStun, encodeStun } from '../../common/wire/stun.ts'
import { hasIpv6 } from '../ipv6.ts'
import { quietPort } from '../quiet-port.ts'
import { FakeClock } from '../unit/fake-clock.ts'
import { startStunResponder } from './stun-responder.ts'

const doors = { clock: systemClock, random: systemRandom }

test('RFC 8489: seven transmissions, silent after 39.5 s; ours for discovery: three, silent after 1.4 s', t => {
  t.deepEqual(retransmissionWaits(STANDARD_RETRANSMISSION), [500, 1000, 2000, 4000, 8000, 16_000, 8000])
  t.deepEqual(retransmissionWaits(QUICK_RETRANSMISSION), [200, 400, 800])
})

for (const address of ['127.0.0.1', ...(hasIpv6() ? ['::1'] : [])]) {
  test(`a server sees our address over ${address}`, async t => {
    await using server = await startStunResponder([address])
    await using socket = await openUdpSocket({ family: address === '::1' ? 6 : 4, address })
    const outcome = await stunRequest(new StunSocket(socket), pick(server.endpoints, 0), doors)
    t.like(outcome, { kind: 'answered', outside: { address, port: socket.local.port } })
  })
}

test('many requests on one socket each get their own answer', async t => {
  await using server = await startStunResponder(['127.0.0.1'])
  await using socket = await openUdpSocket({ family: 4, address: '127.0.0.1' })
  const stun = new StunSocket(socket)
  const servers = Array.from({ length: 40 }, (_, i) => pick(server.endpoints, i % 2))
  const outcomes = await Promise.all(servers.map(endpoint => stunRequest(stun, endpoint, doors)))
  for (const [i, outcome] of outcomes.entries()) {
    t.is(outcome.kind === 'answered' ? outcome.from.port : 0, pick(servers, i).port)
  }
})

test('more than 256 requests at once on a socket are refused as busy', async t => {
  await using socket = await openUdpSocket({ family: 4, address: '127.0.0.1' })
  const stun = new StunSocket(socket)
  const stop = new AbortController()
  const options = { clock: new FakeClock(), random: systemRandom, signal: stop.signal }
  const waiting = Array.from({ length: 256 }, () => stunRequest(stun, socket.local, options))
  await t.throwsAsync(stunRequest(stun, socket.local, options), { code: 'busy' })
  stop.abort()
  t.true((await Promise.all(waiting)).every(({ kind }) => kind === 'aborted'))
})

test('an answer from another port, with another transaction, or garbage is not taken; the right one is', async t => {
  await using stranger = await openUdpSocket({ family: 4, address: '127.0.0.1' })
  await using server = await openUdpSocket({ family: 4, address: '127.0.0.1' })
  await using socket = await openUdpSocket({ family: 4, address: '127.0.0.1' })
  const forged = { address: '203.0.113.66', port: 666 }
  server.receive((bytes, from) => {
    const request = decodeStun(bytes)
    if (!request) return
    const answer = { class: 'success', method: 'binding', transactionId: request.transactionId } as const
    stranger.send(encodeStun({ ...answer, xorMappedAddress: forged }), from)
    server.send(encodeStun({ ...answer, transactionId: new Uint8Array(12), xorMappedAddress: forged }), from)
    server.send(encodeStun({ ...answer, class: 'request' }), from)
    server.send(Buffer.concat([encodeStun({ ...answer, xorMappedAddress: forged }), Buffer.alloc(4)]), from)
    server.send(Buffer.from('not STUN'), from)
    systemClock.after(30, () => server.send(encodeStun({ ...answer, xorMappedAddress: from }), from))
  })
  const others: string[] = []
  const stun = new StunSocket(socket)
  stun.onOther(bytes => others.push(bytes.toString('latin1')))
  const outcome = await stunRequest(stun, server.local, doors)
  t.like(outcome, { kind: 'answered', outside: { address: '127.0.0.1', port: socket.local.port } })
  t.is(others.at(-1), 'not STUN')
})

test('an error response says so with its code', async t => {
  await using server = await startStunResponder(['127.0.0.1'], ({ transactionId }) => ({
    class: 'error',
    method: 'binding',
    transactionId,
    errorCode: 420,
    unknownAttributes: [3],
  }))
  await using socket = await openUdpSocket({ family: 4, address: '127.0.0.1' })
  t.deepEqual(await stunRequest(new StunSocket(socket), pick(server.endpoints, 0), doors), {
    kind: 'refused',
    code: 420,
  })
})

test('a server that cannot or does not answer from elsewhere has refused to; one that does is believed', async t => {
  await using socket = await openUdpSocket({ family: 4, address: '127.0.0.1' })
  const stun = new StunSocket(socket)
  const change = (address: boolean, port: boolean) => ({ ...doors, changeRequest: { address, port } })
  await using single = await startStunResponder(['127.0.0.1'])
  t.deepEqual(await stunRequest(stun, pick(single.endpoints, 0), change(true, true)), { kind: 'refused', code: 420 })
  await using pair = await startStunResponder(['127.0.0.1', '127.0.0.2'])
  const [first, otherPort, , other] = pair.endpoints
  t.like(await stunRequest(stun, pick(pair.endpoints, 0), change(true, true)), { kind: 'answered', from: other })
  t.like(await stunRequest(stun, pick(pair.endpoints, 0), change(false, true)), { kind: 'answered', from: otherPort })
  t.like(await stunRequest(stun, pick(pair.endpoints, 0), doors), { kind: 'answered', from: first })
  await using plain = await openUdpSocket({ family: 4, address: '127.0.0.1' })
  plain.receive((bytes, from) => {
    const request = decodeStun(bytes)
    if (!request) return
    const answer = { class: 'success', method: 'binding', transactionId: request.transactionId } as const
    plain.send(encodeStun({ ...answer, xorMappedAddress: from }), from)
  })
  t.is((await stunRequest(stun, plain.local, change(false, true))).kind, 'refused')
})

test('a silent server is asked again at 500, 1500, 3500 ... ms and given up after 39.5 s', async t => {
  const sentAt: number[] = []
  const clock = new FakeClock()
  const socket = {
    local: { address: '127.0.0.1', port: 1 },
    send: () => void sentAt.push(clock.now()),
    receive: () => undefined,
    close: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
  const outcome = stunRequest(
    new StunSocket(socket),
    { address: '127.0.0.1', port: 9 },
    { clock, random: systemRandom },
  )
  clock.advance(39_499)
  t.deepEqual(sentAt, [0, 500, 1500, 3500, 7500, 15_500, 31_500])
  t.is(clock.timers, 1)
  clock.advance(1)
  t.deepEqual(await outcome, { kind: 'silent' })
})

test('an abort ends the wait at once and leaves no timer', async t => {
  const clock = new FakeClock()
  await using socket = await openUdpSocket({ family: 4, address: '127.0.0.1' })
  const stop = new AbortController()
  const outcome = stunRequest(new StunSocket(socket), socket.local, {
    clock,
    random: systemRandom,
    signal: stop.signal,
  })
  stop.abort()
  t.deepEqual(await outcome, { kind: 'aborted' })
  t.is(clock.timers, 0)
})

test('over TCP several questions share one local port, and the server sees it', async t => {
  await using server = await startStunResponder(['127.0.0.1', '127.0.0.2'])
  const localPort = await quietPort()
  const options = { ...doors, localPort, timeoutMs: 30_000 }
  const outcomes = await Promise.all(server.endpoints.map(endpoint => tcpStunRequest(endpoint, options)))
  for (const outcome of outcomes) {
    t.is(outcome.kind, 'answered')
    if (outcome.kind !== 'answered') continue
    t.is(outcome.outside.port, localPort)
    outcome.connection.close()
  }
})

test('over TCP a refusal, garbage, silence and an abort are told apart', async t => {
  const ask = async (server: Endpoint, timeoutMs: number, signal?: AbortSignal) => {
    const localPort = await quietPort()
    return tcpStunRequest(server, { ...doors, localPort, timeoutMs, ...(signal ? { signal } : {}) })
  }
  await using closed = await listenTcp({ address: '127.0.0.1', port: 0, onConnection: socket => socket.destroy() })
  t.is((await ask(closed.local, 30_000)).kind, 'refused')
  t.is((await ask({ address: '127.0.0.1', port: await quietPort() }, 30_000)).kind, 'refused')
  await using web = await listenTcp({
    address: '127.0.0.1',
    port: 0,
    onConnection: socket => socket.resume().end('HTTP/1.1 400 Bad Request\r\n\r\n'),
  })
  t.is((await ask(web.local, 30_000)).kind, 'refused')
  await using mute = await listenTcp({
    address: '127.0.0.1',
    port: 0,
    onConnection: socket => socket.resume().on('end', () => socket.end()),
  })
  t.is((await ask(mute.local, 50)).kind, 'silent')
  const stop = new AbortController()
  const aborted = ask(mute.local, 30_000, stop.signal)
  stop.abort()
  t.is((await aborted).kind, 'aborted')
})

function pick<T>(list: readonly T[], index: number): T {
  const found = list[index]
  if (found === undefined) throw new RangeError(`no element ${index}`)
  return found
}
