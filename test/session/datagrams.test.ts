import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import test from 'ava'
import { createSealer } from '../../agent/path/seal.ts'
import { Session } from '../../agent/session/session.ts'
import type { SessionStream } from '../../agent/session/stream.ts'
import { WindowBudget } from '../../agent/session/window.ts'
import { CulvertError } from '../../common/errors.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import { systemRandom } from '../../common/platform/random.ts'
import { QUIET } from './quiet-events.ts'
import { openLoopback, sealPair } from './sealed-pair.ts'

const keys = [generateKeyPair(), generateKeyPair()] as const
const sides = keys.map(key => ({ id: key.id, sealer: createSealer(key, systemClock) }))
const over = new CulvertError('session-closed', 'the test is over')

function startSession(own: 0 | 1, onStream: (stream: SessionStream) => void): Session {
  return new Session({
    ownId: keys[own].id,
    peerId: keys[own === 0 ? 1 : 0].id,
    clock: systemClock,
    random: systemRandom,
    budget: new WindowBudget(64 << 20),
    events: { ...QUIET, onStream },
  })
}

async function createScene(t: { teardown(run: () => void): void }, onStream: (stream: SessionStream) => void) {
  const loopback = await openLoopback()
  const a = startSession(0, stream => stream.reset('service-unknown', 'nothing here'))
  const b = startSession(1, onStream)
  const [client, server] = sides
  if (!client || !server) throw new Error('no sides')
  const sockets = await loopback.connect()
  const [near, far] = await sealPair(sockets, client, server)
  a.attach(near, true)
  b.attach(far, false)
  t.teardown(() => {
    a.close(over)
    b.close(over)
    loopback.close()
  })
  return { a, b, sockets }
}

function echo(stream: SessionStream): void {
  stream.onDatagram = bytes => stream.sendDatagram(bytes)
  stream.accept()
}

test('datagrams of every size come back whole from an echo, the first with the open', async t => {
  const { a } = await createScene(t, echo)
  const flow = a.openStream('echo', 'datagrams')
  for (const size of [12, 0, 1, 1_420, 4_096, 16_376, 16_377, 40_000, 65_507, 65_527]) {
    const back = new Promise<Buffer>(resolve => {
      flow.onDatagram = resolve
    })
    const sent = randomBytes(size)
    flow.sendDatagram(sent)
    t.deepEqual(await back, sent, `${size} bytes`)
  }
  t.like(a.traffic, { datagramsIn: 10, datagramsOut: 10, datagramsDropped: 0 })
})

test('bytes on a flow are refused, and datagrams on a stream are skipped', async t => {
  const opened: SessionStream[] = []
  const { a, b } = await createScene(t, stream => {
    opened.push(stream)
    stream.accept()
  })
  const stream = a.openStream('bytes')
  await stream.accepted()
  stream.sendDatagram(Buffer.from('not for a stream'))
  stream.write('a stream')
  const [taken] = opened
  if (!taken) return t.fail('no stream')
  const [bytes] = await once(taken, 'data')
  t.is(String(bytes), 'a stream')
  t.is(b.traffic.datagramsIn, 0)
  const flow = a.openStream('flow', 'datagrams')
  await flow.accepted()
  const [, refused] = opened
  if (!refused) return t.fail('no flow')
  const ended = new Promise(resolve => refused.once('close', resolve))
  flow.write('bytes')
  await ended
  t.like(refused.errored, { code: 'wire-malformed' })
})

test('a flood of datagrams towards a peer that does not read holds little, and streams keep their share', async t => {
  const bulkBytes = 64 << 20
  let received = 0
  const done = Promise.withResolvers<void>()
  const { a, sockets } = await createScene(t, stream => {
    stream.accept()
    stream.on('data', (chunk: Buffer) => {
      received += chunk.length
      if (received === bulkBytes) done.resolve()
    })
  })
  const flow = a.openStream('flood', 'datagrams')
  const bulk = a.openStream('bulk')
  await Promise.all([flow.accepted(), bulk.accepted()])

  sockets[1].pause()
  const before = process.memoryUsage.rss()
  for (let i = 0; i < 200; i++) {
    for (let j = 0; j < 500; j++) flow.sendDatagram(Buffer.alloc(1_200))
    await new Promise(resolve => setImmediate(resolve))
  }
  const grown = process.memoryUsage.rss() - before
  t.true(a.traffic.datagramsDropped > 50_000, `${a.traffic.datagramsDropped} dropped`)
  t.true(grown < 64 << 20, `${grown} bytes more after 120 MB of datagrams`)
  sockets[1].resume()

  let flooding = true
  const { datagramsOut } = a.traffic
  const flood = () => {
    for (let j = 0; j < 200; j++) flow.sendDatagram(Buffer.alloc(1_200))
    if (flooding) setImmediate(flood)
  }
  flood()
  const block = Buffer.alloc(1 << 20)
  for (let sent = 0; sent < bulkBytes; sent += block.length) {
    if (!bulk.write(block)) await once(bulk, 'drain')
  }
  await done.promise
  flooding = false
  const floodBytes = (a.traffic.datagramsOut - datagramsOut) * 1_200
  t.log(`${Math.round(grown / 2 ** 20)} MiB more; beside 64 MiB of a stream went ${floodBytes >> 20} MiB of a flood`)
  t.true(floodBytes < bulkBytes, `${floodBytes} bytes of datagrams beside ${bulkBytes} of a stream`)
})
