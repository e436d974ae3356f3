import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import test from 'ava'
import { makeKnock } from '../../agent/path/knock.ts'
import { createSealer } from '../../agent/path/seal.ts'
import { CulvertError } from '../../common/errors.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import { systemRandom } from '../../common/platform/random.ts'
import { encodeHello, encodeOpen, SESSION_VERSION } from '../../common/wire/session-frame.ts'
import { type TestAgent as RelayClient, testAgent } from '../relay/test-agent.ts'
import type { TestAgent } from './test-agent.ts'
import { echoService, transferBothWays } from './transfer.ts'
import { World } from './world.ts'

const SERVICE = 'grandmothers-recipes'
const STRANGERS = 40

/** A device that knows a friend, and a stranger who knows the device's id. */
async function startWorld() {
  const world = await World.start({ lab: 'here', agents: {}, relay: { limits: { mbitPerPeer: 10_000 } } })
  const target = await world.serve('echo', echoService)
  for (const name of ['attic', 'friend', 'stranger']) await world.prepare(name)
  const attic = await world.startAgent('attic', { peers: ['friend'], config: { services: { [SERVICE]: { target } } } })
  const friend = await world.startAgent('friend', { peers: ['attic'] })
  const stranger = await world.startAgent('stranger', { peers: ['attic'] })
  await Promise.all([attic, friend, stranger].map(agent => agent.waitForRelay()))
  return { world, attic, friend, stranger }
}

test.serial('a stranger is refused through the relay, and the friend is served all the while', async t => {
  const { world, attic, friend, stranger } = await startWorld()
  await using _world = world
  for (let i = 0; i < 3; i++) {
    const { code, stdout, stderr } = await stranger.cli('connect', `attic/${SERVICE}`)
    t.is(code, 4)
    t.is(stdout, '')
    t.regex(stderr, /the peer refused: this device is not in its peers/)
  }
  const { state, remedy } = await stranger.peer('attic')
  t.is(state, 'refused')
  t.regex(remedy ?? '', /add the id of this device .* to "peers" on the other side/)
  t.deepEqual(attic.logged('a stranger called').length, 1)
  t.regex(attic.log, new RegExp(world.idOf('stranger')))
  t.like((await attic.status()).strangers[0], { id: world.idOf('stranger') })

  const strangers = await Promise.all(
    Array.from({ length: STRANGERS }, () => testAgent({ address: '127.0.0.1', port: relayPort(world) })),
  )
  for (const someone of strangers) await refused(someone, world)
  const lines = attic.logged('a stranger called').length
  t.true(lines <= 20, `${lines} lines for ${STRANGERS} strangers and 3 calls of one more`)

  const { socket } = await friend.client.connect('attic', SERVICE)
  const { sent, received } = await transferBothWays(socket, 1 << 20)
  t.is(received, sent)
  for (const { line } of strangers) line.socket.terminate()
})

/** Calls the attic; the callee refuses, or the relay says that strangers ring there too often. */
async function refused({ line }: RelayClient, world: World): Promise<void> {
  line.say({ type: 'call', call: 1, to: world.idOf('attic') })
  await line.next('call-failed')
}

test.serial('a stranger that connects directly gets no word and no service name', async t => {
  const { world, attic, friend } = await startWorld()
  await using _world = world

  for (let i = 0; i < 5; i++) {
    const { raw, plain, reason } = await visit(attic, world)
    t.is(plain.length, 0, 'nothing inside the sealing')
    for (const secret of [SERVICE, 'attic', 'friend', world.idOf('friend')]) {
      t.false(raw.includes(secret), `"${secret}" was sent`)
    }
    t.regex(reason, /closed|ended|ECONNRESET|alert/)
  }
  const lines = attic.logged('refused a connection').length
  t.is(lines, 1)

  const { socket } = await friend.client.connect('attic', SERVICE)
  const { sent, received } = await transferBothWays(socket, 1 << 20)
  t.is(received, sent)
})

/** A stranger's visit with the right knock, a certificate of its own and the frames of a peer. */
async function visit(attic: TestAgent, world: World) {
  const socket = connect({ host: '127.0.0.1', port: attic.ports.tcp })
  await once(socket, 'connect')
  const parts: Buffer[] = []
  const plain: Buffer[] = []
  // Everything that comes over the wire, by a tap below TLS.
  const relayed = await tapped(socket, parts)
  relayed.write(makeKnock(world.idOf('attic'), systemRandom))
  let reason = 'closed'
  try {
    const { stream } = await createSealer(generateKeyPair(), systemClock).seal(relayed, {
      role: 'client',
      expected: world.idOf('attic'),
      accept: () => true,
      signal: AbortSignal.timeout(10_000),
    })
    stream.on('data', (chunk: Buffer) => plain.push(chunk))
    stream.write(hello())
    stream.write(encodeOpen(1, SERVICE))
    await new Promise(resolve => stream.once('close', resolve).once('end', resolve))
  } catch (thrown) {
    if (!(thrown instanceof CulvertError)) throw thrown
    reason = thrown.message
  }
  socket.destroy()
  return { raw: Buffer.concat(parts), plain: Buffer.concat(plain), reason }
}

function hello(): Buffer {
  return encodeHello({
    minVersion: SESSION_VERSION,
    maxVersion: SESSION_VERSION,
    features: 0,
    epoch: systemRandom.bytes(8),
    peerEpoch: new Uint8Array(8),
    received: 0,
    how: 'lan',
  })
}

/** The other end of a loopback connection that is joined with this socket; what the socket receives is kept. */
async function tapped(socket: Socket, parts: Buffer[]): Promise<Socket> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const near = connect({ host: '127.0.0.1', port: address.port })
  const [far]: Socket[] = await once(server, 'connection')
  server.close()
  if (!far) throw new Error('no connection')
  for (const end of [near, far, socket]) end.on('error', () => undefined)
  socket.on('data', chunk => parts.push(chunk))
  socket.pipe(far).pipe(socket)
  socket.on('close', () => far.destroy())
  return near
}

test.serial('a scanner gets no byte, whatever it sends', async t => {
  const { world, attic } = await startWorld()
  await using _world = world
  const wrongKnock = makeKnock(world.idOf('stranger'), systemRandom)
  const visits: Readonly<Record<string, (socket: Socket) => void>> = {
    'says nothing': () => undefined,
    'ends at once': socket => socket.end(),
    'asks for a page': socket => socket.write('GET / HTTP/1.1\r\nHost: attic\r\n\r\n'),
    'speaks SSH': socket => socket.write('SSH-2.0-OpenSSH_9.2\r\n'),
    'sends a kilobyte of chance': socket => socket.write(systemRandom.bytes(1024)),
    'knocks at somebody else': socket => socket.write(wrongKnock),
    'sends the knock byte by byte, the last one wrong': socket => {
      const knock = makeKnock(world.idOf('attic'), systemRandom)
      knock.set([(knock.at(-1) ?? 0) ^ 1], knock.length - 1)
      for (const byte of knock) socket.write(Uint8Array.of(byte))
    },
  }
  await Promise.all(
    Object.entries(visits).map(async ([what, begin]) => {
      const socket = connect({ host: '127.0.0.1', port: attic.ports.tcp })
      socket.on('error', () => undefined)
      let bytes = 0
      socket.on('data', chunk => {
        bytes += chunk.length
      })
      await once(socket, 'connect')
      begin(socket)
      await new Promise(resolve => socket.once('close', resolve))
      t.is(bytes, 0, what)
    }),
  )
  const tls = connectTls({ host: '127.0.0.1', port: attic.ports.tcp, rejectUnauthorized: false })
  tls.on('error', () => undefined)
  await new Promise(resolve => tls.once('close', resolve))
  t.is(tls.bytesRead, 0, 'begins with TLS')
  t.true(attic.logged('refused a connection').length <= 1)
})

function relayPort(world: World): number {
  return Number(new URL(world.relayUrl).port)
}
