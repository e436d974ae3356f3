import { asCulvertError } from '../../common/errors.ts'
import type { Clock } from '../../common/platform/clock.ts'
import type { Random } from '../../common/platform/random.ts'
import { BENCH_REQUEST_BYTES, decodeBenchRequest, encodeBenchResult } from '../../common/wire/bench-message.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import type { SessionStream } from '../session/stream.ts'
import { countUntilEnd, readHead, sendFor } from './bench-traffic.ts'

/** The longest that one direction is measured. */
export const MAX_BENCH_MS = 30_000
/** What is under way when the time is over gets this long to arrive; over a slow line that is the most of it. */
const DRAIN_MS = 15_000
/** Over a relay it is somebody's bandwidth. */
export const RELAY_BENCH_MS = 2_000
export const RELAY_BENCH_BYTES = 8 * 1024 * 1024
/** Of all peers: two fill any line of ours. */
const MAX_RUNS = 2
/** Runs that one peer may begin within the period: an honest one needs two per measurement. */
const RUNS_PER_PERIOD = 20
const PERIOD_MS = 60_000
/** One turn of the event loop writes no more than the stream takes, whatever the size. */
export const BENCH_BLOCK_BYTES = 64 * 1024

export interface BenchServiceOptions {
  readonly clock: Clock
  readonly random: Random
  /** The path to this peer in use is a relay's. */
  readonly isRelayed: (peer: PeerId) => boolean
}

/** Takes and sends bytes for `culvert bench` of a peer: bounded in time, number and, over a relay, in bytes. */
export class BenchService {
  readonly #options: BenchServiceOptions
  readonly #running = new Set<PeerId>()
  readonly #begun = new Map<PeerId, number>()
  #periodFrom: number
  #block: Buffer | undefined

  constructor(options: BenchServiceOptions) {
    this.#options = options
    this.#periodFrom = options.clock.now()
  }

  async serve(peer: PeerId, stream: SessionStream): Promise<void> {
    if (this.#running.has(peer) || this.#running.size >= MAX_RUNS) {
      stream.reset('busy', 'another measurement is under way; try again when it is over')
      return
    }
    if (!this.#mayBegin(peer)) {
      stream.reset('over-quota', `no more than ${RUNS_PER_PERIOD} measurements in ${PERIOD_MS / 1000} s`)
      return
    }
    this.#running.add(peer)
    const { clock } = this.#options
    const limit = clock.after(MAX_BENCH_MS + DRAIN_MS, () => stream.reset('timed-out', 'the measurement took too long'))
    try {
      stream.accept()
      await this.#run(peer, stream)
    } catch (thrown) {
      const error = asCulvertError(thrown, 'stream-reset', 'the measurement')
      stream.reset(error.code, error.message)
    } finally {
      limit.cancel()
      this.#running.delete(peer)
      if (this.#running.size === 0) this.#block = undefined
    }
  }

  async #run(peer: PeerId, stream: SessionStream): Promise<void> {
    const { clock, random, isRelayed } = this.#options
    const request = decodeBenchRequest(await readHead(stream, BENCH_REQUEST_BYTES))
    if (request.sender === 'opener') {
      const result = await countUntilEnd(stream, clock)
      stream.end(encodeBenchResult(result))
      return
    }
    const durationMs = Math.min(request.durationMs, MAX_BENCH_MS)
    const maxBytes = isRelayed(peer) && request.maxBytes === 0 ? RELAY_BENCH_BYTES : request.maxBytes
    // Random, for a tunnel on the way may compress.
    this.#block ??= Buffer.from(random.bytes(BENCH_BLOCK_BYTES))
    if (stream.destroyed) return
    const closed = new Promise<void>(resolve => stream.once('close', resolve))
    stream.resume()
    sendFor(stream, this.#block, { durationMs, maxBytes }, clock)
    await closed
  }

  #mayBegin(peer: PeerId): boolean {
    const now = this.#options.clock.now()
    if (now - this.#periodFrom >= PERIOD_MS) {
      this.#periodFrom = now
      this.#begun.clear()
    }
    const begun = this.#begun.get(peer) ?? 0
    this.#begun.set(peer, begun + 1)
    return begun < RUNS_PER_PERIOD
  }
}
