import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { type ConnectionOptions, TLSSocket, connect as tlsConnect } from 'node:tls'
import test from 'ava'
import { certificateFor } from '../../agent/path/certificate.ts'
import { ALPN, createSealer, HANDSHAKE_MS, type SealOptions } from '../../agent/path/seal.ts'
import { CulvertError, type ErrorCode } from '../../common/errors.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair, type KeyPair } from '../../common/platform/ed25519.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { openLoopback } from '../session/sealed-pair.ts'
import { FakeClock } from '../unit/fake-clock.ts'

const [alice, bob, mallory] = [generateKeyPair(), generateKeyPair(), generateKeyPair()]
const loopback = await openLoopback()
test.after(() => loopback.close())

const never = new AbortController().signal
const is = (code: ErrorCode) => ({ instanceOf: CulvertError, code }) as const
const anyone = { accept: () => true, signal: never }

function seal(socket: Socket, key: KeyPair, options: Partial<SealOptions> & Pick<SealOptions, 'role'>) {
  return createSealer(key, systemClock).seal(socket, { ...anyone, ...options })
}

/** Everything the stream brings until it ends, however it ends. */
function read(stream: NodeJS.ReadableStream): Promise<string> {
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  stream.on('error', () => undefined)
  return new Promise(resolve => {
    for (const ending of ['end', 'close']) stream.on(ending, () => resolve(Buffer.concat(chunks).toString()))
  })
}

/** A client of TLS that is none of ours. */
function foreign(socket: Socket, options: ConnectionOptions): TLSSocket {
  const stream = tlsConnect({ socket, rejectUnauthorized: false, ALPNProtocols: [ALPN], ...options })
  stream.on('error', () => undefined)
  return stream
}

const pem = (key: KeyPair) => ({
  key: key.privateKey.export({ format: 'pem', type: 'pkcs8' }),
  cert: certificateFor(key),
})

test('two peers that expect each other each see who the other is, and name the path alike', async t => {
  const [near, far] = await loopback.connect()
  const [client, server] = await Promise.all([
    seal(near, alice, { role: 'client', expected: bob.id }),
    seal(far, bob, { role: 'server', expected: alice.id }),
  ])
  t.is(client.peer, bob.id)
  t.is(server.peer, alice.id)
  t.is(client.stream.getProtocol(), 'TLSv1.3')
  const name = (stream: TLSSocket) => stream.exportKeyingMaterial(8, 'EXPORTER-culvert-path', Buffer.alloc(0))
  t.deepEqual(name(client.stream), name(server.stream))
  client.stream.end('hello')
  t.is(await read(server.stream), 'hello')
})

test('another key than the expected one is an impersonation, and nothing is sent to it', async t => {
  const [near, far] = await loopback.connect()
  // The impostor may not even come to the end of the handshake.
  const told = seal(far, mallory, { role: 'server' }).then(
    ({ stream }) => read(stream),
    () => '',
  )
  const error = await t.throwsAsync(seal(near, alice, { role: 'client', expected: bob.id }), is('peer-impersonated'))
  t.regex(error?.message ?? '', /nothing was sent/)
  t.is(await told, '')
  t.true(near.destroyed)
})

test('the called side compares too, when it knows who should come', async t => {
  const [near, far] = await loopback.connect()
  const answer = seal(near, mallory, { role: 'client', expected: bob.id }).then(({ stream }) => read(stream))
  await t.throwsAsync(seal(far, bob, { role: 'server', expected: alice.id }), is('peer-impersonated'))
  t.is(await answer, '')
})

test('a stranger is refused, and told nothing', async t => {
  const [near, far] = await loopback.connect()
  const seen: PeerId[] = []
  const accept = (peer: PeerId) => {
    seen.push(peer)
    return false
  }
  const answer = seal(near, mallory, { role: 'client', expected: bob.id }).then(({ stream }) => read(stream))
  await t.throwsAsync(seal(far, bob, { role: 'server', accept }), is('not-authorized'))
  t.deepEqual(seen, [mallory.id])
  t.is(await answer, '')
  t.true(far.destroyed)
})

for (const [who, options, code] of [
  ['a client without a certificate', {}, 'not-authorized'],
  ['a client of TLS 1.2', { ...pem(alice), maxVersion: 'TLSv1.2' }, 'peer-unreachable'],
  ['a client of another protocol', { ...pem(alice), ALPNProtocols: ['http/1.1'] }, 'peer-unreachable'],
  ['a client that names no protocol', { ...pem(alice), ALPNProtocols: [] }, 'peer-unreachable'],
] as const satisfies ReadonlyArray<readonly [string, ConnectionOptions, ErrorCode]>) {
  test(`${who} gets nowhere, and no answer`, async t => {
    const [near, far] = await loopback.connect()
    const asked = { peers: 0 }
    const accept = () => {
      asked.peers++
      return true
    }
    const answer = read(foreign(near, options))
    await t.throwsAsync(seal(far, bob, { role: 'server', accept }), is(code))
    t.is(await answer, '')
    t.is(asked.peers, 0)
  })
}

test('a certificate of another kind of key is none', async t => {
  const key = execKey()
  if (!key) {
    t.pass('no openssl here to make one')
    return
  }
  const [near, far] = await loopback.connect()
  const answer = read(foreign(near, key))
  await t.throwsAsync(seal(far, bob, { role: 'server' }), is('not-authorized'))
  t.is(await answer, '')
})

function execKey(): { readonly key: string; readonly cert: string } | undefined {
  try {
    const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', '-', '-subj', '/CN=x']
    const text = execFileSync('openssl', ['req', '-x509', ...made], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return { key: text, cert: text }
  } catch {
    return undefined
  }
}

for (const [what, options, code] of [
  ['TLS 1.2 only', { maxVersion: 'TLSv1.2' }, 'peer-unreachable'],
  ['another protocol', { ALPNProtocols: ['h2'] }, 'peer-unreachable'],
  ['no protocol', {}, 'peer-unreachable'],
] as const satisfies ReadonlyArray<readonly [string, object, ErrorCode]>) {
  test(`a server of ${what} gets no byte of ours`, async t => {
    const [near, far] = await loopback.connect()
    const server = new TLSSocket(far, {
      isServer: true,
      requestCert: true,
      rejectUnauthorized: false,
      ...pem(bob),
      ...options,
    })
    const told = read(server)
    await t.throwsAsync(seal(near, alice, { role: 'client', expected: bob.id }), is(code))
    t.is(await told, '')
  })
}

test('what is not TLS ends the handshake', async t => {
  for (const bytes of ['GET / HTTP/1.1\r\n\r\n', Buffer.alloc(2_000, 0x16), Buffer.from('16030100020100', 'hex')]) {
    const [near, far] = await loopback.connect()
    near.end(bytes)
    near.resume()
    await t.throwsAsync(seal(far, bob, { role: 'server' }), is('peer-unreachable'))
    t.true(far.destroyed)
  }
})

test('a connection that breaks in the middle ends the handshake', async t => {
  const [near, far] = await loopback.connect()
  near.write(Buffer.from('160301', 'hex'))
  const sealed = seal(far, bob, { role: 'server' })
  near.resetAndDestroy()
  await t.throwsAsync(sealed, is('peer-unreachable'))
})

test('silence ends the handshake after eight seconds, and the connection with it', async t => {
  const clock = new FakeClock()
  const [, far] = await loopback.connect()
  const sealed = createSealer(bob, clock).seal(far, { ...anyone, role: 'server' })
  clock.advance(HANDSHAKE_MS)
  await t.throwsAsync(sealed, is('timed-out'))
  t.true(far.destroyed)
  t.is(clock.timers, 0)
})

test('a handshake can be aborted, before and while it runs', async t => {
  const clock = new FakeClock()
  const stop = new AbortController()
  const [near, far] = await loopback.connect()
  const running = createSealer(bob, clock).seal(far, { role: 'server', accept: () => true, signal: stop.signal })
  stop.abort()
  await t.throwsAsync(running, is('aborted'))
  const late = createSealer(alice, clock).seal(near, { role: 'client', accept: () => true, signal: stop.signal })
  await t.throwsAsync(late, is('aborted'))
  t.true(near.destroyed && far.destroyed)
  t.is(clock.timers, 0)
})

test('no TLS session is resumed: each path proves itself anew', async t => {
  const sealer = createSealer(bob, systemClock)
  const [near, far] = await loopback.connect()
  const served = sealer.seal(far, { ...anyone, role: 'server' })
  const client = foreign(near, pem(alice))
  const ticket = once(client, 'session')
  const { stream } = await served
  stream.write('hello')
  const [session]: Buffer[] = await ticket
  const [nextNear, nextFar] = await loopback.connect()
  const again = sealer.seal(nextFar, { ...anyone, role: 'server' })
  foreign(nextNear, { ...pem(alice), ...(session ? { session } : {}) })
  await t.throwsAsync(again, is('peer-unreachable'))
})
