import { asCulvertError, CulvertError, type ErrorCode } from '../../common/errors.ts'
import { type Clock, deadline } from '../../common/platform/clock.ts'
import { createRateGate, type Log } from '../../common/platform/log.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { decodePipeHead, encodePipeHead, PIPE_HEAD_BYTES } from '../../common/wire/peer-pipe.ts'
import type { Link } from '../session/carriers.ts'
import type { SessionStream } from '../session/stream.ts'
import { readHead } from './bench-traffic.ts'
import { CarryBudget, type CarryLimits } from './carry-budget.ts'
import { StreamQuota } from './stream-quota.ts'

/** Until both ends stand; the callee may be about to come, after a restart of everything. */
const OPEN_MS = 12_000
const PER_MINUTE = 60
const PER_PEER = 6
/** Shorter waits are not worth a timer: what they would hold back is owed by the next one. */
const LEAST_WAIT_MS = 4

export interface PeerRelayLimits extends CarryLimits {
  readonly enabled: boolean
}

export interface PeerRelayOptions {
  readonly clock: Clock
  readonly log: Log
  readonly limits: () => PeerRelayLimits
  /** Both are members of our network, or both are pinned. */
  readonly mayMeet: (a: PeerId, b: PeerId) => boolean
  readonly link: (peer: PeerId) => Link
  /** Opens a stream that rings there, once there is a session. */
  readonly ring: (peer: PeerId, signal: AbortSignal) => Promise<SessionStream>
  readonly nameOf: (peer: PeerId) => string
  readonly onChange: () => void
}

/** A pipe that is carried now. */
export interface CarriedPipe {
  readonly from: PeerId
  readonly to: PeerId
  /** Either way. */
  bytes: number
  /** Monotonic, ms. */
  readonly since: number
}

type Cut = (code: ErrorCode, reason: string) => void

/**
 * Carries sealed bytes between two peers that cannot reach each other, within what this device's owner allows. It sees who
 * meets whom, and how much they exchange, as a relay does.
 */
export class PeerRelay {
  readonly #options: PeerRelayOptions
  readonly #budget: CarryBudget
  readonly #quota: StreamQuota
  readonly #mayLog: (key: string) => boolean
  readonly #pipes = new Map<CarriedPipe, Cut>()
  /** Places taken, also by pipes that are only being made. */
  #taken = 0

  constructor(options: PeerRelayOptions) {
    this.#options = options
    this.#budget = new CarryBudget(options.clock, options.limits)
    this.#quota = new StreamQuota(options.clock, PER_MINUTE, PER_PEER)
    this.#mayLog = createRateGate(options.clock, 60_000)
  }

  get pipes(): readonly CarriedPipe[] {
    return [...this.#pipes.keys()]
  }

  /** Of the last 24 hours. */
  get bytes(): number {
    return this.#budget.bytes
  }

  /** A peer asks for a pipe to another one. */
  async serve(from: PeerId, stream: SessionStream): Promise<void> {
    const { log, limits, nameOf } = this.#options
    const { enabled, pipes } = limits()
    if (!enabled) {
      stream.reset('not-authorized', 'the peer carries nothing for others; its owner can turn on "peerRelay"')
      return
    }
    if (this.#budget.spent) {
      stream.reset('over-quota', 'the peer has carried as much for others as it may in a day')
      return
    }
    const over = this.#taken < pipes ? this.#quota.take(from) : undefined
    if (!over) {
      stream.reset('busy', 'the peer carries as many pipes as it may')
      return
    }
    this.#taken++
    stream.once('close', () => {
      this.#taken--
      over()
    })
    try {
      await this.#carry(from, stream)
    } catch (thrown) {
      const error = asCulvertError(thrown, 'peer-unreachable', 'the pipe came to nothing')
      stream.reset(error.code, error.message)
      if (this.#mayLog(from)) log.debug('no pipe for a peer', { peer: nameOf(from), reason: error.message })
    }
  }

  /** The config, or who is trusted, has changed: what may not be carried any more ends. */
  check(): void {
    const { enabled } = this.#options.limits()
    for (const [pipe, cut] of [...this.#pipes]) {
      const fault = enabled ? this.#fault(pipe) : 'the peer carries nothing for others any more'
      if (fault !== undefined) cut('not-authorized', fault)
    }
  }

  async #carry(from: PeerId, stream: SessionStream): Promise<void> {
    const { clock, link, mayMeet, ring } = this.#options
    const gone = new AbortController()
    stream.once('close', () => gone.abort())
    const limit = deadline(clock, OPEN_MS, gone.signal)
    const late = () => stream.reset('timed-out', `the other peer did not answer in ${OPEN_MS / 1000} s`)
    limit.signal.addEventListener('abort', late, { once: true })
    let other: SessionStream | undefined
    try {
      const to = decodePipeHead(await readHead(stream, PIPE_HEAD_BYTES))
      if (to === from || !mayMeet(from, to)) {
        throw new CulvertError('not-authorized', 'the peer knows nobody of that name whom this device may meet')
      }
      // Before the other one is rung for nothing.
      requireDirect(link(from))
      other = await ring(to, limit.signal)
      // A session that stands opens a stream at once, whoever has gone meanwhile.
      if (limit.signal.aborted) throw new CulvertError('stream-reset', 'the other side is gone')
      requireDirect(link(to))
      other.write(encodePipeHead(from))
      const ended = other
      stream.once('close', () => ended.reset('stream-reset', 'the other side is gone'))
      await other.accepted()
      if (stream.destroyed) return
      limit.done()
      stream.accept()
      this.#join({ from, to, bytes: 0, since: clock.now() }, stream, other)
    } catch (thrown) {
      other?.reset('stream-reset', 'the other side is gone')
      throw thrown
    } finally {
      limit.done()
      limit.signal.removeEventListener('abort', late)
    }
  }

  #join(pipe: CarriedPipe, a: SessionStream, b: SessionStream): void {
    const { log, nameOf, onChange } = this.#options
    const cut: Cut = (code, reason) => {
      a.reset(code, reason)
      b.reset(code, reason)
    }
    this.#pipes.set(pipe, cut)
    const over = () => {
      if (!this.#pipes.delete(pipe)) return
      log.debug('a pipe ended', { from: nameOf(pipe.from), to: nameOf(pipe.to), bytes: pipe.bytes })
      onChange()
    }
    a.once('close', over)
    b.once('close', over)
    b.once('close', () => a.reset('stream-reset', 'the other side is gone'))
    this.#pump(pipe, a, b, cut)
    this.#pump(pipe, b, a, cut)
    log.debug('carries a pipe', { from: nameOf(pipe.from), to: nameOf(pipe.to) })
    onChange()
  }

  /** One way: the next piece is read when the last one was taken, and the rate allows it. */
  #pump(pipe: CarriedPipe, source: SessionStream, sink: SessionStream, cut: Cut): void {
    const { clock } = this.#options
    let waits = 0
    const goOn = () => {
      if (--waits === 0) source.resume()
    }
    source.on('data', (chunk: Buffer) => {
      if (sink.destroyed) return
      const fault = this.#fault(pipe)
      if (fault !== undefined) {
        cut('not-authorized', fault)
        return
      }
      const waitMs = this.#budget.take(chunk.length)
      if (waitMs === undefined) {
        cut('over-quota', 'the peer has carried as much for others as it may in a day')
        return
      }
      pipe.bytes += chunk.length
      const more = sink.write(chunk)
      if (!more) {
        waits++
        sink.once('drain', goOn)
      }
      if (waitMs >= LEAST_WAIT_MS) {
        waits++
        clock.after(waitMs, goOn)
      }
      if (waits > 0) source.pause()
    })
    source.once('end', () => sink.end())
    source.resume()
  }

  /** Both change while a pipe lives: who is trusted, and how our own sessions go. */
  #fault({ from, to }: CarriedPipe): string | undefined {
    const { mayMeet, link } = this.#options
    if (!mayMeet(from, to)) return 'the two may not meet any more'
    if (link(from) === 'piped' || link(to) === 'piped') return 'the peer has no path of its own any more'
    return undefined
  }
}

/** What a relay carries to us would cost its line twice, and a pipe over a pipe may go round in circles. */
function requireDirect(link: Link): void {
  if (link === 'direct') return
  throw new CulvertError('busy', 'the peer that was asked for a pipe has no direct path to both ends')
}
