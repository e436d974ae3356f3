import { Duplex } from 'node:stream'
import test, { type ExecutionContext } from 'ava'
import { createSealer } from '../../agent/path/seal.ts'
import { measure } from '../../agent/service/bench.ts'
import { BenchService } from '../../agent/service/bench-service.ts'
import { Session } from '../../agent/session/session.ts'
import type { SessionStream } from '../../agent/session/stream.ts'
import { WindowBudget } from '../../agent/session/window.ts'
import { CulvertError } from '../../common/errors.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { systemRandom } from '../../common/platform/random.ts'
import { BENCH_SERVICE, encodeBenchRequest } from '../../common/wire/bench-message.ts'
import { QUIET } from '../session/quiet-events.ts'
import { openLoopback, sealPair } from '../session/sealed-pair.ts'
import { ALICE, BOB } from '../vectors/keys.ts'

const over = new CulvertError('session-closed', 'the test is over')
const doors = { clock: systemClock, random: systemRandom, signal: new AbortController().signal }
const MIB = 2 ** 20

function startSession(own: typeof ALICE, peer: typeof ALICE, onStream: (stream: SessionStream) => void): Session {
  const events = { ...QUIET, onStream }
  const budget = new WindowBudget(64 * MIB)
  return new Session({ ownId: own.id, peerId: peer.id, clock: systemClock, random: systemRandom, budget, events })
}

/** A stream whose reset comes together with its first bytes. */
class EndsAtOnce extends Duplex {
  readonly #head: Buffer

  constructor(head: Uint8Array) {
    super()
    this.#head = Buffer.from(head)
  }

  override _read(): void {
    // Bytes come by `accept`.
  }

  override _write(_chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    done()
  }

  override read(size?: number): unknown {
    const bytes: unknown = super.read(size)
    if (bytes !== null) this.destroy()
    return bytes
  }

  accept(): void {
    this.push(this.#head)
  }

  reset(): void {
    this.destroy()
  }
}

/** Alice's session with Bob, who measures for her. */
async function startScene(t: ExecutionContext, isRelayed = () => false, onStream: () => void = () => undefined) {
  const loopback = await openLoopback()
  const bench = new BenchService({ clock: systemClock, random: systemRandom, isRelayed })
  const near = startSession(ALICE, BOB, stream => stream.reset('service-unknown', 'no service'))
  const far = startSession(BOB, ALICE, stream => {
    void bench.serve(ALICE.id, stream)
    onStream()
  })
  const sides = [ALICE, BOB].map(key => ({ id: key.id, sealer: createSealer(key, systemClock) }))
  const [alice, bob] = sides
  if (!alice || !bob) throw new RangeError('two sides')
  const paths = await sealPair(await loopback.connect(), alice, bob)
  near.attach(paths[0], true)
  far.attach(paths[1], false)
  t.teardown(() => {
    near.close(over)
    far.close(over)
    loopback.close()
  })
  return near
}

test('measures both directions, and the round trip before and meanwhile', async t => {
  const session = await startScene(t)
  for (const sender of ['opener', 'service'] as const) {
    const { bytes, ms, rttMs } = await measure(session, { sender, durationMs: 600, maxBytes: 0 }, doors)
    t.true(bytes > MIB, `${sender} ${bytes} bytes`)
    t.true(ms > 300, `${sender} ${ms} ms`)
    t.true((rttMs.idle?.p50 ?? 0) > 0)
    t.true((rttMs.load?.p50 ?? 0) > 0)
    t.log(`${sender}: ${Math.round((bytes * 8) / ms / 1000)} Mbit/s`, rttMs)
  }
  t.is(session.streamCount, 0)
})

test('stops at the bytes that it may move', async t => {
  const session = await startScene(t)
  for (const sender of ['opener', 'service'] as const) {
    t.is((await measure(session, { sender, durationMs: 30_000, maxBytes: 3_000_000 }, doors)).bytes, 3_000_000)
  }
})

test('a service that is reached over a relay sends little to whoever sets no limit', async t => {
  const session = await startScene(t, () => true)
  t.is((await measure(session, { sender: 'service', durationMs: 30_000, maxBytes: 0 }, doors)).bytes, 8 * MIB)
})

test('one measurement per peer at a time, and twenty in a minute', async t => {
  const session = await startScene(t)
  const first = session.openStream(BENCH_SERVICE)
  await first.accepted()
  await t.throwsAsync(session.openStream(BENCH_SERVICE).accepted(), { code: 'busy', message: /another measurement/ })
  first.write(encodeBenchRequest({ sender: 'opener', durationMs: 1, maxBytes: 0 }))
  first.end()
  await first.resume().toArray()
  const small = { sender: 'opener', durationMs: 1000, maxBytes: 1 } as const
  for (let i = 1; i < 20; i++) {
    const stream = session.openStream(BENCH_SERVICE)
    await stream.accepted()
    stream.end(encodeBenchRequest(small))
    await stream.toArray()
  }
  await t.throwsAsync(session.openStream(BENCH_SERVICE).accepted(), { code: 'over-quota', message: /20 measurements/ })
})

test('a measurement that is stopped leaves nothing behind', async t => {
  const stop = new AbortController()
  const session = await startScene(
    t,
    () => false,
    () => stop.abort(),
  )
  const running = measure(
    session,
    { sender: 'opener', durationMs: 30_000, maxBytes: 0 },
    { ...doors, signal: stop.signal },
  )
  const stopped = t.throwsAsync(running, { code: 'aborted' })
  await stopped
  t.is(session.streamCount, 0)
})

test('a measurement that is over as soon as it begins makes room for the next', async t => {
  const bench = new BenchService({ clock: systemClock, random: systemRandom, isRelayed: () => false })
  for (const sender of ['opener', 'service'] as const) {
    const stream = new EndsAtOnce(encodeBenchRequest({ sender, durationMs: 1000, maxBytes: 0 }))
    await bench.serve(ALICE.id, stream as unknown as SessionStream)
    t.true(stream.destroyed)
  }
})

test('a peer without the service is told to be too old', async t => {
  const loopback = await openLoopback()
  const near = startSession(ALICE, BOB, () => undefined)
  const far = startSession(BOB, ALICE, stream => stream.reset('service-unknown', 'no such service'))
  const [alice, bob] = [ALICE, BOB].map(key => ({ id: key.id, sealer: createSealer(key, systemClock) }))
  if (!alice || !bob) throw new RangeError('two sides')
  const paths = await sealPair(await loopback.connect(), alice, bob)
  near.attach(paths[0], true)
  far.attach(paths[1], false)
  await t.throwsAsync(measure(near, { sender: 'opener', durationMs: 100, maxBytes: 0 }, doors), { message: /too old/ })
  near.close(over)
  far.close(over)
  loopback.close()
})
