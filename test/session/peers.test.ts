import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import test from 'ava'
import { createSealer } from '../../agent/path/seal.ts'
import type { SessionStream } from '../../agent/session/stream.ts'
import { CulvertError } from '../../common/errors.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import { transferBothWays } from '../scenario/transfer.ts'
import { type LoopbackPeer, type LoopbackPeerOptions, startLoopbackPeer, startLoopbackRelay } from './loopback-peers.ts'
import { openLoopback, type Side, sealPair } from './sealed-pair.ts'

const never = new AbortController().signal

const echo = (stream: SessionStream) => {
  stream.accept()
  stream.pipe(stream)
}

/** Two peers that trust each other, on one relay. */
async function startPair(options: Partial<LoopbackPeerOptions> = {}) {
  const relay = await startLoopbackRelay()
  const keys = [generateKeyPair(), generateKeyPair()] as const
  const at = { port: relay.http.port }
  const a = await startLoopbackPeer({ relay: at, key: keys[0], trusts: [keys[1].id], onStream: echo, ...options })
  const b = await startLoopbackPeer({ relay: at, key: keys[1], trusts: [keys[0].id], onStream: echo, ...options })
  await Promise.all([a, b].map(peer => peer.until(() => peer.rendezvous.connected)))
  return {
    relay,
    a,
    b,
    async [Symbol.asyncDispose]() {
      await a[Symbol.asyncDispose]()
      await b[Symbol.asyncDispose]()
      await relay[Symbol.asyncDispose]()
    },
  }
}

test('two peers find each other through a relay and use it when there is nothing else', async t => {
  await using pair = await startPair()
  const { a, b } = pair
  const stream = await a.peer(b.key.id).openStream('echo', never)
  const { sent, received } = await transferBothWays(stream, 8 << 20)
  t.is(received, sent)
  const peer = a.peer(b.key.id)
  t.is(peer.session?.active?.kind, 'relay')
  t.is(peer.traffic.relayBytesOut, 8 << 20)
})

test('a session moves from the relay to a direct path in the middle of a transfer', async t => {
  await using pair = await startPair({ direct: true })
  const { a, b } = pair
  const peer = a.peer(b.key.id)
  const stream = await peer.openStream('echo', never)
  const { sent, received } = await transferBothWays(stream, 64 << 20)
  t.is(received, sent)
  t.is(peer.session?.active?.kind, 'tcp')
})

test('with time to wait, no user byte goes over the relay when a direct path can be had', async t => {
  await using pair = await startPair({ direct: true, graceMs: 60_000 })
  const { a, b } = pair
  const peer = a.peer(b.key.id)
  const stream = await peer.openStream('echo', never)
  const { sent, received } = await transferBothWays(stream, 1 << 20)
  t.is(received, sent)
  t.is(peer.traffic.relayBytesIn + peer.traffic.relayBytesOut, 0)
  t.is(peer.traffic.bytesOut, 1 << 20)
})

test('where a path over UDP broke and a relay took over, direct ways are looked for at once', async t => {
  const loopback = await openLoopback()
  t.teardown(() => loopback.close())
  await using pair = await startPair()
  const [smaller, larger] = pair.a.key.id < pair.b.key.id ? [pair.a, pair.b] : [pair.b, pair.a]
  const sockets = await loopback.connect()
  const side = ({ key }: LoopbackPeer): Side => ({ id: key.id, sealer: createSealer(key, systemClock) })
  const [here, there] = await sealPair(sockets, side(smaller), side(larger))
  const overUdp = { kind: 'udp', transport: 'udx', how: 'punched' } as const
  larger.peers.attach({ ...there, ...overUdp })
  smaller.peers.attach({ ...here, ...overUdp })
  const peer = smaller.peer(larger.key.id)
  await smaller.until(() => peer.session?.active?.kind === 'udp')
  const stream = await peer.openStream('echo', never)
  stream.write('here')
  await once(stream, 'data')
  t.is(peer.direct?.faults.size, 0, 'nothing was tried yet: what improves a path over UDP waits')
  for (const socket of sockets) socket.destroy()
  await smaller.until(() => peer.session?.active?.kind === 'relay' && (peer.direct?.faults.size ?? 0) > 0)
  t.true(peer.direct?.faults.has('tcp/punched'))
})

test('a peer that nobody knows is refused, and shows in the log once', async t => {
  await using pair = await startPair()
  const { b, relay } = pair
  await using stranger = await startLoopbackPeer({ relay: { port: relay.http.port }, trusts: [b.key.id] })
  await stranger.until(() => stranger.rendezvous.connected)
  for (let i = 0; i < 3; i++) {
    const error = await t.throwsAsync(stranger.peer(b.key.id).openStream('echo', never), { instanceOf: CulvertError })
    t.is(error?.code, 'peer-refused')
  }
  t.is(b.lines.filter(line => line.includes('a stranger called')).length, 1)
  t.is(stranger.peer(b.key.id).state, 'refused')
})

test('a peer that is not connected to the relay is offline, at once', async t => {
  const absent = generateKeyPair()
  const relay = await startLoopbackRelay()
  await using a = await startLoopbackPeer({ relay: { port: relay.http.port }, trusts: [absent.id] })
  const error = await t.throwsAsync(a.peer(absent.id).openStream('echo', never), { instanceOf: CulvertError })
  t.is(error?.code, 'peer-offline')
  await relay[Symbol.asyncDispose]()
})

test('a kept peer is connected without anybody asking', async t => {
  await using pair = await startPair({ keep: true, direct: true })
  const { a, b } = pair
  await a.until(() => a.peer(b.key.id).session?.active?.kind === 'tcp')
  t.is(a.peer(b.key.id).state, 'connected')
})

test('a relay that is not the one in the config is refused', async t => {
  const relay = await startLoopbackRelay()
  const other = generateKeyPair().id
  await using a = await startLoopbackPeer({ relay: { port: relay.http.port, id: other }, trusts: [] })
  await a.until(() => a.rendezvous.report()[0]?.state === 'refused')
  t.regex(a.rendezvous.report()[0]?.lastError ?? '', /not the id in the config/)
  await relay[Symbol.asyncDispose]()
})

test('a stream that either side opens while the idle session is being ended is served', async t => {
  await using pair = await startPair()
  const { a, b } = pair
  const [toB, toA] = [a.peer(b.key.id), b.peer(a.key.id)]
  await (await toB.ready(never)).ping()

  toB.session?.sendBye()
  const opened = await toB.openStream('echo', never)
  const first = await transferBothWays(opened, 1 << 16)
  t.is(first.received, first.sent)

  toB.session?.sendBye()
  while (!toA.session?.leaving) await new Promise(resolve => setImmediate(resolve))
  const second = await transferBothWays(await toA.openStream('echo', never), 1 << 16)
  t.is(second.received, second.sent)

  toB.session?.sendBye()
  await a.until(() => toB.session === undefined)
  await b.until(() => toA.session === undefined)
  t.is(toB.state, 'idle')
})

test('the streams to a peer that stops end at once, and a kept peer is connected again when it is back', async t => {
  const relay = await startLoopbackRelay()
  const at = { port: relay.http.port }
  const keys = [generateKeyPair(), generateKeyPair()] as const
  const startB = () => startLoopbackPeer({ relay: at, key: keys[1], trusts: [keys[0].id], onStream: echo })
  await using a = await startLoopbackPeer({ relay: at, key: keys[0], trusts: [keys[1].id], keep: true })
  const b = await startB()
  const peer = a.peer(keys[1].id)
  await a.until(() => peer.session?.active !== undefined)
  const stream = await peer.openStream('echo', never)
  await stream.accepted()
  const closed = new Promise(resolve => stream.once('close', resolve))
  await b[Symbol.asyncDispose]()
  await closed
  t.regex(String(stream.errored), /the peer ended the session/)
  await using _back = await startB()
  await a.until(() => peer.session?.active !== undefined)
  t.is(peer.state, 'connected')
  await relay[Symbol.asyncDispose]()
})

test('a peer that was reached before is reached again without any relay', async t => {
  await using pair = await startPair({ direct: true })
  const { a, b, relay } = pair
  await a.peer(b.key.id).ready(never)
  await a.until(() => a.memory.addresses(b.key.id).length > 0)
  await a[Symbol.asyncDispose]()
  await relay[Symbol.asyncDispose]()
  t.is(a.memory.recall(b.key.id).way, 'tcp/lan')

  const options = { relay: { port: relay.http.port }, trusts: [b.key.id], remembers: a.memory.entries }
  await using again = await startLoopbackPeer({ ...options, key: a.key })
  const stream = await again.peer(b.key.id).openStream('echo', never)
  const { sent, received } = await transferBothWays(stream, 1 << 20)
  t.is(received, sent)
  t.false(again.rendezvous.connected)
})

for (const relayIsUp of [true, false]) {
  test(`a peer that shuts the remembered way without a word is told of, with the relay ${relayIsUp ? 'up' : 'down'}`, async t => {
    const relay = await startLoopbackRelay()
    const at = { port: relay.http.port }
    await using b = await startLoopbackPeer({ relay: at, trusts: [] })
    const addresses = [{ how: 'lan', endpoint: { address: '127.0.0.1', port: b.port } }] as const
    await using a = await startLoopbackPeer({
      relay: at,
      trusts: [b.key.id],
      remembers: [{ peer: b.key.id, network: 'loopback', addresses }],
    })
    await Promise.all([a, b].map(peer => peer.until(() => peer.rendezvous.connected)))
    if (!relayIsUp) await relay[Symbol.asyncDispose]()
    for (let i = 0; i < 2; i++) {
      const error = await t.throwsAsync(a.peer(b.key.id).ready(never), { instanceOf: CulvertError })
      t.is(error?.code, relayIsUp ? 'peer-refused' : 'peer-unreachable')
      if (!relayIsUp) t.regex(error?.message ?? '', /may not name this device in its "peers": add the id/)
    }
    if (relayIsUp) await relay[Symbol.asyncDispose]()
  })
}

test('where somebody waits for a relay, an attempt to connect that hangs is given up for another one', async t => {
  const relay = await startLoopbackRelay()
  t.teardown(() => relay[Symbol.asyncDispose]())
  // A proxy that takes the first connection, over which nothing comes back: as after a NAT forgot it.
  const sockets: Socket[] = []
  const front = createServer(socket => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    if (sockets.length === 1) return
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      socket.pipe(connect(relay.http.port, '127.0.0.1')).pipe(socket)
    })
  }).listen(0, '127.0.0.1')
  await once(front, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    front.close()
  })
  const proxy = new URL(`http://127.0.0.1:${(front.address() as AddressInfo).port}`)
  const at = { port: relay.http.port }
  const key = generateKeyPair()
  await using b = await startLoopbackPeer({ relay: at, trusts: [key.id], onStream: echo })
  await using a = await startLoopbackPeer({ relay: { ...at, proxy }, key, trusts: [b.key.id] })
  const from = performance.now()
  const stream = await a.peer(b.key.id).openStream('echo', never)
  t.true(performance.now() - from < 9_000, 'before the attempt ends by itself')
  t.true(sockets.length >= 2)
  stream.destroy()
})

test('a relay that is slow to answer is not dropped for that: another line is made beside, and takes over', async t => {
  await using pair = await startPair()
  const { a, b, relay } = pair
  // Everything between the second one and the relay stands still for a while.
  let stopped = false
  const held: (() => void)[] = []
  const pass = (from: Socket, to: Socket) => {
    from.on('data', chunk => {
      if (stopped) held.push(() => to.write(chunk))
      else to.write(chunk)
    })
    from.on('error', () => undefined)
    from.on('close', () => to.destroy())
  }
  const sockets = new Set<Socket>()
  const front = createServer(socket => {
    sockets.add(socket)
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      const there = connect(relay.http.port, '127.0.0.1')
      pass(socket, there)
      pass(there, socket)
    })
  }).listen(0, '127.0.0.1')
  await once(front, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    front.close()
  })
  const proxy = new URL(`http://127.0.0.1:${(front.address() as AddressInfo).port}`)
  const key = generateKeyPair()
  b.peers.update([a.key, key].map(({ id }) => ({ id, name: id.slice(0, 10), keep: false })))
  await using slow = await startLoopbackPeer({ relay: { port: relay.http.port, proxy }, key, trusts: [b.key.id] })
  await slow.until(() => slow.rendezvous.connected)
  await slow.until(() => slow.rendezvous.report()[0]?.rttMs !== null)
  stopped = true
  slow.rendezvous.hurry()
  while (sockets.size < 2) await once(front, 'connection')
  t.true(slow.rendezvous.connected)
  stopped = false
  for (const go of held.splice(0)) go()
  await slow.until(() => slow.lines.filter(line => line.includes('relay connected')).length === 2)
  t.true(slow.rendezvous.connected)
  t.deepEqual(
    slow.lines.filter(line => line.includes('relay lost')),
    [],
  )
})
