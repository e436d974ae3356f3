import type { Clock, Timer } from '../../common/platform/clock.ts'
import { hurriedPongMs } from './reconnect.ts'

/** A relay that does not answer a ping for this long is dead, whatever its socket says. */
const PONG_MS = 5_000
/** From then on nobody is told any more that the line is good. */
const DOUBT_MS = 2_500
/** A line that something came over so lately need not be asked. */
const QUIET_MS = 2_000
/** A line that was used lately may be needed again soon: it is found dead within 15 s. */
const USED_PING_MS = 10_000
/** As for sessions (`session/heartbeat.ts`). For ever it would be 2 MB a day. */
const USED_MS = 120_000
const RECENT = 4

export interface LinePulseOptions {
  readonly clock: Clock
  readonly ping: (id: number) => void
  /** Somebody waits, and the answer should have come: the line may be dead, or slow. Told once for each ping. */
  readonly onLate: () => void
  /** `silent` has changed. */
  readonly onSilence: () => void
  readonly onDead: (reason: string) => void
}

/** Keeps a control line alive with few bytes, and finds out when it is dead. */
export class LinePulse {
  readonly #options: LinePulseOptions
  #keepAliveMs = 0
  #beating = false
  #timer: Timer | undefined
  #heardAt = 0
  #usedAt = 0
  #pingSentAt: number | undefined
  #lateTimer: Timer | undefined
  #late = false
  #silent = false
  readonly #lookers = new Set<() => void>()
  #nextPing = 1
  #rttMs: number | null = null
  #answered = false
  /** The last few round trips, newest first. */
  #recent: readonly number[] = []

  constructor(options: LinePulseOptions) {
    this.#options = options
  }

  get rttMs(): number | null {
    return this.#rttMs
  }

  /** A ping that somebody waits for has no answer yet, and should have one. */
  get late(): boolean {
    return this.#late
  }

  /** A ping has no answer for so long that the line may well be dead. */
  get silent(): boolean {
    return this.#silent
  }

  /** Of the line as it is: one of these may have been sent again for as long as the line was cut. */
  get leastRttMs(): number | null {
    return this.#recent.length === 0 ? null : Math.min(...this.#recent)
  }

  /** Something of what was asked since the line came up was answered. */
  get answered(): boolean {
    return this.#answered
  }

  /** The line is up; a ping goes when it was silent for so long. */
  start(keepAliveMs: number): void {
    this.#keepAliveMs = keepAliveMs
    this.#beating = true
    this.#answered = false
    this.#usedAt = this.#options.clock.now()
    this.#ping()
  }

  /** Something came. */
  heard(): void {
    this.#heardAt = this.#options.clock.now()
    this.#plan()
  }

  /** The line does something for somebody. */
  used(): void {
    this.#usedAt = this.#options.clock.now()
    this.#plan()
  }

  pong(): void {
    if (this.#pingSentAt === undefined) return
    this.#answered = true
    this.#rttMs = this.#options.clock.now() - this.#pingSentAt
    this.#recent = [this.#rttMs, ...this.#recent].slice(0, RECENT)
    this.#pingSentAt = undefined
    this.#beLate(false)
    this.heard()
    this.#beSilent(false)
    this.#tellLookers()
  }

  /** Somebody may need the line soon. */
  ask(): void {
    this.used()
    if (this.#beating && this.#pingSentAt === undefined) this.#ping()
  }

  /** After what happened the line may be dead: it is said so when the answer takes longer than usual. */
  askSoon(): void {
    this.used()
    if (!this.#beating || this.#late || this.#lateTimer) return
    const lateMs = hurriedPongMs(this.#rttMs)
    if (this.#pingSentAt === undefined) this.#ping()
    const { clock, onLate } = this.#options
    // Sending it may have found that the line is dead.
    if (this.#pingSentAt === undefined) return
    this.#lateTimer = clock.after(Math.max(this.#pingSentAt + lateMs - clock.now(), 0), () => {
      this.#beLate(true)
      onLate()
    })
  }

  /** Asks a line that was quiet for a while; resolves when it is known to live, or to be silent: after 2.5 s at most. */
  look(): Promise<void> {
    if (!this.#beating || this.#silent) return Promise.resolve()
    if (this.#pingSentAt === undefined) {
      if (this.#options.clock.now() - this.#heardAt < QUIET_MS) return Promise.resolve()
      this.#ping()
      // As above.
      if (this.#pingSentAt === undefined) return Promise.resolve()
    }
    return new Promise(resolve => this.#lookers.add(resolve))
  }

  stop(): void {
    this.#beating = false
    this.#timer?.cancel()
    this.#pingSentAt = undefined
    this.#beLate(false)
    this.#silent = false
    this.#tellLookers()
  }

  #beLate(late: boolean): void {
    this.#lateTimer?.cancel()
    this.#lateTimer = undefined
    this.#late = late
  }

  #beSilent(silent: boolean): void {
    if (this.#silent === silent) return
    this.#silent = silent
    this.#options.onSilence()
  }

  #tellLookers(): void {
    for (const resolve of this.#lookers) resolve()
    this.#lookers.clear()
  }

  #plan(): void {
    if (!this.#beating || this.#pingSentAt !== undefined) return
    const { clock } = this.#options
    const now = clock.now()
    const periodMs = now - this.#usedAt < USED_MS ? Math.min(USED_PING_MS, this.#keepAliveMs) : this.#keepAliveMs
    this.#timer?.cancel()
    this.#timer = clock.after(Math.max(this.#heardAt + periodMs - now, 0), () => this.#ping())
  }

  #ping(): void {
    const { clock, ping, onDead } = this.#options
    this.#pingSentAt = clock.now()
    ping(this.#nextPing++)
    if (!this.#beating || this.#pingSentAt === undefined) return
    this.#timer?.cancel()
    this.#timer = clock.after(DOUBT_MS, () => {
      this.#timer = clock.after(PONG_MS - DOUBT_MS, () => onDead(`no answer to a ping in ${PONG_MS} ms`))
      this.#tellLookers()
      this.#beSilent(true)
    })
  }
}
