import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import test from 'ava'
import type { Path } from '../../agent/path/path.ts'
import { createSealer } from '../../agent/path/seal.ts'
import { endsOf } from '../../agent/path/tcp-path.ts'
import { Session } from '../../agent/session/session.ts'
import type { SessionEvents } from '../../agent/session/session-events.ts'
import type { SessionStream } from '../../agent/session/stream.ts'
import { BASE_WINDOW_BYTES, WindowBudget } from '../../agent/session/window.ts'
import { CulvertError } from '../../common/errors.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import { systemRandom } from '../../common/platform/random.ts'
import { QUIET } from './quiet-events.ts'

const keys = [generateKeyPair(), generateKeyPair()] as const
const sealers = keys.map(key => createSealer(key, systemClock))
const never = new AbortController().signal

/** Two sealed ends of one TCP connection on loopback. */
async function sealedPair(kind: 'tcp' | 'relay' = 'tcp'): Promise<{ paths: [Path, Path]; sockets: [Socket, Socket] }> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const dialled = connect({ host: '127.0.0.1', port: address.port, allowHalfOpen: true, noDelay: true })
  const [accepted] = (await once(server, 'connection')) as [Socket]
  server.close()
  const [clientSealer, serverSealer] = sealers
  if (!clientSealer || !serverSealer) throw new Error('no sealer')
  const accept = () => true
  const [client, callee] = await Promise.all([
    clientSealer.seal(dialled, { role: 'client', expected: keys[1].id, accept, signal: never }),
    serverSealer.seal(accepted, { role: 'server', expected: keys[0].id, accept, signal: never }),
  ])
  const facts =
    kind === 'tcp'
      ? ({ kind: 'tcp', transport: 'tcp', how: 'lan' } as const)
      : ({ kind: 'relay', transport: 'pipe', how: 'relay' } as const)
  return {
    paths: [
      { ...facts, ...endsOf(dialled), ...client },
      { ...facts, ...endsOf(accepted), ...callee },
    ],
    sockets: [dialled, accepted],
  }
}

function startSession(
  own: 0 | 1,
  events: Partial<SessionEvents> = {},
  { budgetBytes = 64 << 20, clock = systemClock } = {},
): Session {
  return new Session({
    ownId: keys[own].id,
    peerId: keys[own === 0 ? 1 : 0].id,
    clock,
    random: systemRandom,
    budget: new WindowBudget(budgetBytes),
    events: { ...QUIET, ...events },
  })
}

function echo(stream: SessionStream): void {
  stream.accept()
  stream.pipe(stream)
}

async function hashOf(stream: NodeJS.ReadableStream): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of stream) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

async function join(a: Session, b: Session, kind: 'tcp' | 'relay' = 'tcp') {
  const pair = await sealedPair(kind)
  const links = [a.attach(pair.paths[0], true), b.attach(pair.paths[1], false)] as const
  return { ...pair, links }
}

const closed = new CulvertError('session-closed', 'the test is over')

test('64 MiB come back from an echo unchanged, with half-close', async t => {
  const a = startSession(0)
  const b = startSession(1, { onStream: echo })
  await join(a, b)
  const data = randomBytes(64 << 20)
  const stream = a.openStream('echo')
  const back = hashOf(stream)
  await pipeline(Readable.from(cut(data)), stream)
  t.is(await back, createHash('sha256').update(data).digest('hex'))
  a.close(closed)
  b.close(closed)
})

test('a stream after a long one may send ahead what that one needed, one of another network no more than any other', async t => {
  // A hundred times as slow, so that the machine seems to be fast whatever it does.
  const clock = { ...systemClock, now: () => systemClock.now() / 100 }
  const a = startSession(0)
  const b = startSession(
    1,
    { onStream: stream => (stream.service === 'sink' ? sink(stream) : stream.accept()) },
    { clock },
  )
  await join(a, b)
  const ahead = async (bytes: number) => {
    const before = a.sending.bytesOut
    const stream = a.openStream('stalled')
    stream.write(Buffer.alloc(16 << 20))
    while (a.sending.bytesOut < before + bytes || a.sending.unacknowledgedBytes > 0) await nextTurn()
    t.is(a.sending.bytesOut, before + bytes)
    stream.destroy()
  }
  await ahead(BASE_WINDOW_BYTES)
  const long = a.openStream('sink')
  await pipeline(Readable.from(cut(randomBytes(64 << 20))), long)
  await ahead(8 << 20)
  b.forgetLine()
  await ahead(BASE_WINDOW_BYTES)
  a.close(closed)
  b.close(closed)
})

function sink(stream: SessionStream): void {
  stream.accept()
  stream.resume()
}

function* cut(data: Buffer, size = 50_000): Generator<Buffer> {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size)
}

test('a peer that greets before the path is taken over is greeted first, too', async t => {
  const a = startSession(0)
  const b = startSession(1, { onStream: echo })
  const { paths } = await sealedPair()
  a.attach(paths[0], true)
  while (paths[1].stream.readableLength === 0) await new Promise(resolve => setImmediate(resolve))
  b.attach(paths[1], false)
  const stream = a.openStream('echo')
  stream.end('hello')
  t.is(String(Buffer.concat((await stream.toArray()) as Buffer[])), 'hello')
  t.true(a.links.every(link => link.ready) && b.links.every(link => link.ready))
  a.close(closed)
  b.close(closed)
})

test('nothing is lost or doubled when paths are cut and replaced under load', async t => {
  const a = startSession(0)
  const b = startSession(1, { onStream: echo })
  let pair = await join(a, b, 'relay')
  const data = randomBytes(48 << 20)
  const stream = a.openStream('echo')
  const hash = createHash('sha256')
  let received = 0
  let moves = 0
  const done = new Promise<void>(resolve => stream.once('end', resolve))
  stream.on('data', (chunk: Buffer) => {
    hash.update(chunk)
    received += chunk.length
    if (received > (moves + 1) * (4 << 20)) {
      moves++
      const old = pair
      // Now the new path first, now the cut: both orders must hold.
      if (moves % 2 === 0) for (const socket of old.sockets) socket.destroy()
      void join(a, b, moves % 3 === 0 ? 'relay' : 'tcp').then(next => {
        pair = next
        if (moves % 2 === 1) for (const socket of old.sockets) socket.resetAndDestroy()
      })
    }
  })
  await pipeline(Readable.from(cut(data)), stream)
  await done
  t.is(hash.digest('hex'), createHash('sha256').update(data).digest('hex'))
  t.true(moves >= 8, `${moves} moves`)
  a.close(closed)
  b.close(closed)
})

test('a stalled stream does not slow the others, and holds no more than its window', async t => {
  const held: SessionStream[] = []
  const a = startSession(0)
  const b = startSession(1, {
    onStream: stream => {
      stream.accept()
      if (stream.service === 'stall') held.push(stream)
      else stream.pipe(stream)
    },
  })
  await join(a, b)
  const stalled = a.openStream('stall')
  let fed = 0
  const feed = () => {
    while (stalled.write(Buffer.alloc(65_536)) && fed < 64 << 20) fed += 65_536
  }
  stalled.on('drain', feed)
  feed()
  const data = randomBytes(4 << 20)
  const want = createHash('sha256').update(data).digest('hex')
  const others = Array.from({ length: 7 }, async () => {
    const stream = a.openStream('echo')
    const back = hashOf(stream)
    await pipeline(Readable.from(cut(data)), stream)
    return back
  })
  for (const hash of await Promise.all(others)) t.is(hash, want)
  const [stream] = held
  t.true(stream && stream.readableLength <= 256 * 1024, `${stream?.readableLength} bytes held`)
  t.true(fed <= 2 << 20, `${fed} bytes taken from the writer`)
  a.close(closed)
  b.close(closed)
})

test('500 streams opened at once all work', async t => {
  const a = startSession(0)
  const b = startSession(1, { onStream: echo })
  await join(a, b)
  const answers = await Promise.all(
    Array.from({ length: 500 }, async (_, i) => {
      const stream = a.openStream('echo')
      stream.end(`hello ${i}`)
      const chunks: Buffer[] = []
      for await (const chunk of stream) chunks.push(chunk as Buffer)
      return Buffer.concat(chunks).toString()
    }),
  )
  t.deepEqual(
    answers,
    Array.from({ length: 500 }, (_, i) => `hello ${i}`),
  )
  t.is(a.streamCount, 0)
  t.is(b.streamCount, 0)
  a.close(closed)
  b.close(closed)
})

test('a refusal comes with its code and reason', async t => {
  const a = startSession(0)
  const b = startSession(1, { onStream: stream => stream.reset('not-authorized', 'ask the owner') })
  await join(a, b)
  const stream = a.openStream('secret')
  const error = await t.throwsAsync(stream.accepted(), { instanceOf: CulvertError })
  t.is(error?.code, 'not-authorized')
  t.is(error?.message, 'ask the owner')
  a.close(closed)
  b.close(closed)
})

test('a peer that restarted ends the old streams and serves new ones', async t => {
  const a = startSession(0)
  const b = startSession(1, { onStream: echo })
  await join(a, b)
  const old = a.openStream('echo')
  const lost = new Promise(resolve => old.once('close', resolve))
  old.on('error', error => t.regex(error.message, /restarted/))
  await old.accepted()
  b.drop(b.links)
  while (a.active) await nextTurn()
  const reborn = startSession(1, { onStream: echo })
  await join(a, reborn)
  await lost
  const fresh = a.openStream('echo')
  fresh.end('again')
  const [chunk] = await once(fresh, 'data')
  t.is(String(chunk), 'again')
  b.close(closed)
  a.close(closed)
  reborn.close(closed)
})
