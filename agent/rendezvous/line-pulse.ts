import type { Clock, Timer } from '../../common/platform/clock.ts'
import { hurriedPongMs } from './reconnect.ts'

/** A relay that does not answer a ping for this long is dead, whatever its socket says. */
const PONG_MS = 5_000
const RECENT = 4

export interface LinePulseOptions {
  readonly clock: Clock
  readonly ping: (id: number) => void
  /** Somebody waits, and the answer should have come: the line may be dead, or slow. Told once for each ping. */
  readonly onLate: () => void
  readonly onDead: (reason: string) => void
}

/** Keeps a control line alive with few bytes, and finds out when it is dead. */
export class LinePulse {
  readonly #options: LinePulseOptions
  #keepAliveMs = 0
  #beating = false
  #timer: Timer | undefined
  #pingSentAt: number | undefined
  #lateTimer: Timer | undefined
  #late = false
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
    this.#ping()
  }

  /** Something came. */
  heard(): void {
    if (!this.#beating || this.#pingSentAt !== undefined) return
    this.#timer?.cancel()
    this.#timer = this.#options.clock.after(this.#keepAliveMs, () => this.#ping())
  }

  pong(): void {
    if (this.#pingSentAt === undefined) return
    this.#answered = true
    this.#rttMs = this.#options.clock.now() - this.#pingSentAt
    this.#recent = [this.#rttMs, ...this.#recent].slice(0, RECENT)
    this.#pingSentAt = undefined
    this.#beLate(false)
    this.heard()
  }

  /** Somebody may need the line soon. */
  ask(): void {
    if (this.#beating && this.#pingSentAt === undefined) this.#ping()
  }

  /** After what happened the line may be dead: it is said so when the answer takes longer than usual. */
  askSoon(): void {
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

  stop(): void {
    this.#beating = false
    this.#timer?.cancel()
    this.#pingSentAt = undefined
    this.#beLate(false)
  }

  #beLate(late: boolean): void {
    this.#lateTimer?.cancel()
    this.#lateTimer = undefined
    this.#late = late
  }

  #ping(): void {
    const { clock, ping, onDead } = this.#options
    this.#pingSentAt = clock.now()
    ping(this.#nextPing++)
    if (!this.#beating || this.#pingSentAt === undefined) return
    this.#timer?.cancel()
    this.#timer = clock.after(PONG_MS, () => onDead(`no answer to a ping in ${PONG_MS} ms`))
  }
}
