import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import test from 'ava'
import { createSealer } from '../../agent/path/seal.ts'
import { CulvertError } from '../../common/errors.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import { systemRandom } from '../../common/platform/random.ts'
import { openUdxSocket, type UdxSocket } from '../../common/platform/udx-socket.ts'
import type { UdxStream } from '../../common/platform/udx-stream.ts'
import { seededDraw } from '../unit/mutate.ts'

const MIB = 1024 * 1024
const address = '127.0.0.1'
const openHere = () => openUdxSocket({ family: 4, address })

function connectedPair(a: UdxSocket, b: UdxSocket): [UdxStream, UdxStream] {
  const [left, right] = [a.openStream(systemRandom), b.openStream(systemRandom)]
  left.connect(right.id, b.local)
  right.connect(left.id, a.local)
  for (const stream of [left, right]) stream.on('error', () => undefined)
  return [left, right]
}

/** Not by `for await`, which destroys both halves when one has ended. */
async function digestOf(stream: Duplex): Promise<string> {
  const hash = createHash('sha256')
  stream.on('data', chunk => hash.update(chunk))
  await once(stream, 'end')
  return hash.digest('hex')
}

async function send(stream: Duplex, bytes: number): Promise<string> {
  const hash = createHash('sha256')
  for (let left = bytes; left > 0; ) {
    const chunk = Buffer.from(systemRandom.bytes(Math.min(left, systemRandom.integer(1, 100_000))))
    left -= chunk.length
    hash.update(chunk)
    if (!stream.write(chunk)) await once(stream, 'drain')
  }
  stream.end()
  return hash.digest('hex')
}

test('a stream carries 8 MiB each way at once, and ends on each side by itself', async t => {
  await using a = await openHere()
  await using b = await openHere()
  const [left, right] = connectedPair(a, b)
  const [sentLeft, sentRight, gotLeft, gotRight] = await Promise.all([
    send(left, 8 * MIB),
    send(right, 8 * MIB),
    digestOf(left),
    digestOf(right),
  ])
  t.is(gotRight, sentLeft)
  t.is(gotLeft, sentRight)
})

test('datagrams and several streams share one socket, and TLS runs over each stream', async t => {
  await using a = await openHere()
  await using b = await openHere()
  const keys = [generateKeyPair(), generateKeyPair()] as const
  const seal = (stream: Duplex, role: 'client' | 'server') => {
    const [own, other] = role === 'client' ? keys : [keys[1], keys[0]]
    const accept = () => true
    const { signal } = new AbortController()
    return createSealer(own, systemClock).seal(stream, { role, expected: other.id, accept, signal })
  }
  const datagram = new Promise<string>(resolve => {
    b.receive((bytes, from) => resolve(`${bytes.toString('hex')} from ${from.address}:${from.port}`))
  })
  for (let round = 0; round < 3; round++) {
    const [left, right] = connectedPair(a, b)
    const [client, server] = await Promise.all([seal(left, 'client'), seal(right, 'server')])
    const digests = Promise.all([digestOf(client.stream), digestOf(server.stream)])
    const [sentLeft, sentRight] = await Promise.all([send(client.stream, MIB), send(server.stream, MIB)])
    t.deepEqual(await digests, [sentRight, sentLeft])
  }
  a.send(Buffer.from('c6ff', 'hex'), b.local)
  t.is(await datagram, `c6ff from ${address}:${a.local.port}`)
})

test('what comes before the other end is connected is sent again', async t => {
  await using a = await openHere()
  await using b = await openHere()
  const [left, right] = [a.openStream(systemRandom), b.openStream(systemRandom)]
  left.connect(right.id, b.local)
  const passed = new Promise(resolve => b.receive(resolve))
  left.end('early')
  await new Promise(resolve => setImmediate(resolve))
  a.send(Buffer.from('sent after it'), b.local)
  await passed
  right.connect(left.id, a.local)
  right.end()
  t.is(String(await right.toArray()), 'early')
})

test('one end that is destroyed ends the other', async t => {
  await using a = await openHere()
  await using b = await openHere()
  const [left, right] = connectedPair(a, b)
  left.write('x')
  await once(right, 'data')
  const closed = new Promise(resolve => right.once('close', resolve))
  left.destroy()
  await closed
  t.true(left.destroyed && right.destroyed)
})

test('a taken port is port-in-use, a strange address io, and a closed socket takes nothing', async t => {
  const a = await openHere()
  const code = (expected: string) => ({ instanceOf: CulvertError, code: expected }) as const
  await t.throwsAsync(openUdxSocket({ family: 4, ...a.local }), code('port-in-use'))
  await t.throwsAsync(openUdxSocket({ family: 4, address: '192.0.2.77' }), code('io'))
  a.send(Buffer.from('x'), { address: 'no address', port: 9 })
  await a.close()
  await a.close()
  a.send(Buffer.from('x'), { address, port: 9 })
  t.throws(() => a.openStream(systemRandom), code('io'))
})

test('256 sockets are open at once, each with a port of its own, and close', async t => {
  const startedAt = performance.now()
  const sockets = await Promise.all(Array.from({ length: 256 }, openHere))
  t.is(new Set(sockets.map(({ local }) => local.port)).size, 256)
  await Promise.all(sockets.map(socket => socket.close()))
  t.log(`${Math.round(performance.now() - startedAt)} ms`)
})

test('streams and sockets that end at any moment end nothing else', async t => {
  const draw = seededDraw(7)
  const turns = async (count: number) => {
    for (let i = 0; i < count; i++) await new Promise(resolve => setImmediate(resolve))
  }
  for (let round = 0; round < 300; round++) {
    const a = await openHere()
    const b = await openHere()
    const [left, right] = [a.openStream(systemRandom), b.openStream(systemRandom)]
    for (const stream of [left, right]) stream.on('error', () => undefined)
    const ends = [() => left.destroy(), () => right.destroy(), () => void a.close(), () => void b.close()]
    const steps = [
      () => left.connect(right.id, b.local),
      () => right.connect(left.id, a.local),
      () => left.write(Buffer.alloc(draw(300_000))),
      () => right.write(Buffer.alloc(draw(300_000))),
      () => left.end(),
      () => right.end('and so'),
    ]
    for (const step of steps.slice(0, 1 + draw(steps.length))) {
      try {
        step()
      } catch (thrown) {
        t.true(thrown instanceof CulvertError, String(thrown))
      }
      if (draw(3) === 0) ends[draw(ends.length)]?.()
      await turns(draw(4))
    }
    await Promise.all([a.close(), b.close()])
  }
  t.pass()
})
