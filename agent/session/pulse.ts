import type { Clock, Timer } from '../../common/platform/clock.ts'
import {
  answered,
  type Heartbeat,
  heard,
  isDoubtful,
  isRelieved,
  nextCheckMs,
  type Pace,
  pingDue,
  pinged,
  sent,
  startHeartbeat,
  vitalOf,
} from './heartbeat.ts'

export interface PulseOptions {
  readonly clock: Clock
  readonly pace: () => Pace
  readonly rttMs: () => number
  /** A ping is due; whoever sends it says so by `pinged`. Not before the peer's hello. */
  readonly onPingDue: () => void
  /** Doubtful, suspect or sound again. */
  readonly onVital: () => void
  readonly onDead: (silentMs: number) => void
}

/** The heartbeat of one path, with the timer that watches it. */
export class Pulse {
  readonly #options: PulseOptions
  #beat: Heartbeat
  #doubtful = false
  #suspectAt: number | undefined
  #timer: Timer | undefined
  #timerAt = 0
  #mayPing = false
  #stopped = false

  constructor(options: PulseOptions) {
    this.#options = options
    this.#beat = startHeartbeat(options.clock.now())
  }

  /** Milliseconds since something came. */
  get silentMs(): number {
    return this.#options.clock.now() - this.#beat.heardAt
  }

  /** Nothing came for half as long as makes it suspect. */
  get doubtful(): boolean {
    return this.#doubtful
  }

  get suspect(): boolean {
    return this.#suspectAt !== undefined
  }

  /** Something went out that the peer must answer. */
  sent(): void {
    if (this.#beat.awaitingSince !== undefined && this.#beat.unansweredSince !== undefined) return
    this.#beat = sent(this.#beat, this.#options.clock.now())
    this.arm()
  }

  pinged(): void {
    this.#beat = pinged(this.#beat, this.#options.clock.now())
    this.arm()
  }

  /** So many bytes came. */
  heard(bytes: number): void {
    this.#doubtful = false
    this.#beat = heard(this.#beat, this.#options.clock.now(), bytes)
  }

  /** What came answers something of ours. */
  answered(): void {
    this.#beat = answered(this.#beat)
  }

  /** The peer's hello came. */
  allowPings(): void {
    this.#mayPing = true
    this.answered()
  }

  /** To be called after what came was read: it may tell that a suspect path is sound. */
  relieve(): void {
    const { clock, rttMs, onVital } = this.#options
    if (this.#stopped || this.#suspectAt === undefined || !isRelieved(this.#beat, this.#suspectAt)) return
    if (vitalOf(this.#beat, rttMs(), clock.now()) !== 'sound') return
    this.#suspectAt = undefined
    onVital()
  }

  /** Also to be called when the path gets busy or idle, so that it keeps the right pace. */
  arm(): void {
    if (this.#stopped) return
    const { clock, pace, rttMs } = this.#options
    const now = clock.now()
    const dueAt = now + nextCheckMs(this.#beat, pace(), rttMs(), now)
    // One that comes too early finds out by itself; a new timer for every message would cost more than the message.
    if (this.#timer && this.#timerAt <= dueAt) return
    this.#timer?.cancel()
    this.#timerAt = dueAt
    this.#timer = clock.after(dueAt - now, () => {
      this.#timer = undefined
      this.#check()
    })
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  #check(): void {
    const { clock, pace, rttMs, onPingDue, onVital, onDead } = this.#options
    const now = clock.now()
    const vital = vitalOf(this.#beat, rttMs(), now)
    if (vital === 'dead') {
      onDead(Math.round(now - this.#beat.heardAt))
      return
    }
    const doubted = this.#doubtful
    this.#doubtful = isDoubtful(this.#beat, rttMs(), now)
    const suspected = vital === 'suspect' && this.#suspectAt === undefined
    if (suspected) this.#suspectAt = now
    if (suspected || (this.#doubtful && !doubted)) onVital()
    if (this.#stopped) return
    if (this.#mayPing && pingDue(this.#beat, pace(), now)) onPingDue()
    else this.arm()
  }
}
