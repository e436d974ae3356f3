import { CulvertError } from '../../common/errors.ts'
import { type Clock, deadline, pause } from '../../common/platform/clock.ts'
import type { Random } from '../../common/platform/random.ts'
import {
  BENCH_RESULT_BYTES,
  BENCH_SERVICE,
  type BenchRequest,
  type BenchResult,
  decodeBenchResult,
  encodeBenchRequest,
} from '../../common/wire/bench-message.ts'
import type { Session } from '../session/session.ts'
import type { SessionStream } from '../session/stream.ts'
import { BENCH_BLOCK_BYTES, RELAY_BENCH_BYTES, RELAY_BENCH_MS } from './bench-service.ts'
import { countUntilEnd, readHead, sendFor } from './bench-traffic.ts'
import { type RoundTrips, roundTrips } from './round-trips.ts'

const IDLE_PINGS = 5
const IDLE_PAUSE_MS = 50
const LOAD_PAUSE_MS = 100
/** Answers that are still awaited; a path that is full answers late. */
const MAX_PINGS_WAITING = 8
/** Beyond the time asked for: what is under way has to arrive, which over a slow line is the most of it. */
const DRAIN_MS = 15_000

export interface BenchDoors {
  readonly clock: Clock
  readonly random: Random
  readonly signal: AbortSignal
}

export interface BenchOutcome extends BenchResult {
  readonly rttMs: { readonly idle: RoundTrips | null; readonly load: RoundTrips | null }
}

/** What one side asks of a measurement. */
export interface BenchWish {
  /** Who sends: this side or the peer. */
  readonly direction: 'send' | 'receive'
  readonly durationMs: number
  /** Over a relay too, as long as over any other path. */
  readonly overRelay: boolean
}

/** The request for a wish: over a relay it is short, unless its owner's bandwidth was expressly meant. */
export function benchRequest({ direction, durationMs, overRelay }: BenchWish, relayed: boolean): BenchRequest {
  const sender = direction === 'send' ? 'opener' : 'service'
  if (!relayed) return { sender, durationMs, maxBytes: 0 }
  if (overRelay) return { sender, durationMs, maxBytes: 0xffff_ffff }
  return { sender, durationMs: Math.min(durationMs, RELAY_BENCH_MS), maxBytes: RELAY_BENCH_BYTES }
}

/** One direction to the peer of a session: how many bytes in which time, and the round trip before and meanwhile. */
export async function measure(session: Session, request: BenchRequest, doors: BenchDoors): Promise<BenchOutcome> {
  const { clock, random, signal } = doors
  const idle = await idlePings(session, doors)
  const limit = deadline(clock, request.durationMs + DRAIN_MS, signal)
  const stream = session.openStream(BENCH_SERVICE)
  const end = () => {
    const late = signal.aborted ? 'it was stopped' : `no end in ${request.durationMs + DRAIN_MS} ms`
    stream.reset(signal.aborted ? 'aborted' : 'timed-out', `the measurement broke off: ${late}`)
  }
  limit.signal.addEventListener('abort', end, { once: true })
  if (limit.signal.aborted) end()
  const load: number[] = []
  const done = new AbortController()
  try {
    stream.write(encodeBenchRequest(request))
    await stream.accepted()
    void pingUntil(done.signal, session, load, clock)
    const result =
      request.sender === 'opener' ? await upload(stream, request, random, clock) : await download(stream, clock)
    return { ...result, rttMs: { idle: roundTrips(idle), load: roundTrips(load) } }
  } catch (thrown) {
    throw explained(thrown)
  } finally {
    done.abort()
    limit.done()
    limit.signal.removeEventListener('abort', end)
    stream.destroy()
  }
}

async function upload(
  stream: SessionStream,
  request: BenchRequest,
  random: Random,
  clock: Clock,
): Promise<BenchResult> {
  const result = readHead(stream, BENCH_RESULT_BYTES)
  sendFor(stream, Buffer.from(random.bytes(BENCH_BLOCK_BYTES)), request, clock)
  return decodeBenchResult(await result)
}

function download(stream: SessionStream, clock: Clock): Promise<BenchResult> {
  stream.end()
  return countUntilEnd(stream, clock)
}

async function idlePings(session: Session, { clock, signal }: BenchDoors): Promise<readonly number[]> {
  const samples: number[] = []
  for (let i = 0; i < IDLE_PINGS; i++) {
    const rttMs = await session.ping()
    if (rttMs !== undefined) samples.push(rttMs)
    if (!(await pause(clock, IDLE_PAUSE_MS, signal))) break
  }
  return samples
}

/** Collects round trips until the signal aborts; those that are not back by then are left out. */
async function pingUntil(done: AbortSignal, session: Session, samples: number[], clock: Clock): Promise<void> {
  let waiting = 0
  while (await pause(clock, LOAD_PAUSE_MS, done)) {
    if (waiting >= MAX_PINGS_WAITING) continue
    waiting++
    void session.ping().then(rttMs => {
      waiting--
      if (rttMs !== undefined && !done.aborted) samples.push(rttMs)
    })
  }
}

function explained(thrown: unknown): unknown {
  if (!(thrown instanceof CulvertError) || thrown.code !== 'service-unknown') return thrown
  return new CulvertError('service-unknown', 'the culvert of the peer is too old to be measured; update it', {
    cause: thrown,
  })
}
