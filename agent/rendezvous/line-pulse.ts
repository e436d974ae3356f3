import type { Clock, Timer } from '../../common/platform/clock.ts'
import { hurriedPongMs } from './reconnect.ts'

/** A relay that does not answer a ping for this long is dead, whatever its socket says. */
const PONG_MS = 5_000
const RECENT = 4

export interface LinePulseOptions {
  readonly clock: Clock
  readonly ping: (id: number) => void
  readonly onDead: (reason: string) => void
}

/** Keeps a control line alive with few bytes, and finds out when it is dead. */
export class LinePulse {
  readonly #options: LinePulseOptions
  #keepAliveMs = 0
  #beating = false
  #timer: Timer | undefined
  #pingSentAt: number | undefined
  #nextPing = 1
  #rttMs: number | null = null
  /** The last few round trips, newest first. */
  #recent: readonly number[] = []

  constructor(options: LinePulseOptions) {
    this.#options = options
  }

  get rttMs(): number | null {
    return this.#rttMs
  }

  /** Of the line as it is: one of these may have been sent again for as long as the line was cut. */
  get leastRttMs(): number | null {
    return this.#recent.length === 0 ? null : Math.min(...this.#recent)
  }

  /** The line is up; a ping goes when it was silent for so long. */
  start(keepAliveMs: number): void {
    this.#keepAliveMs = keepAliveMs
    this.#beating = true
    this.#ping(PONG_MS)
  }

  /** Something came. */
  heard(): void {
    if (!this.#beating || this.#pingSentAt !== undefined) return
    this.#timer?.cancel()
    this.#timer = this.#options.clock.after(this.#keepAliveMs, () => this.#ping(PONG_MS))
  }

  pong(): void {
    if (this.#pingSentAt === undefined) return
    this.#rttMs = this.#options.clock.now() - this.#pingSentAt
    this.#recent = [this.#rttMs, ...this.#recent].slice(0, RECENT)
    this.#pingSentAt = undefined
    this.heard()
  }

  /** Somebody may need the line soon. */
  ask(): void {
    if (this.#beating && this.#pingSentAt === undefined) this.#ping(PONG_MS)
  }

  /** After what happened the line may be dead, so it has less time than usual to answer. */
  askSoon(): void {
    const pongMs = hurriedPongMs(this.#rttMs)
    if (this.#pingSentAt === undefined) this.#ping(pongMs)
    else this.#awaitPong(pongMs)
  }

  stop(): void {
    this.#beating = false
    this.#timer?.cancel()
    this.#pingSentAt = undefined
  }

  #ping(pongMs: number): void {
    this.#pingSentAt = this.#options.clock.now()
    this.#options.ping(this.#nextPing++)
    this.#awaitPong(pongMs)
  }

  /** Gives the ping under way this long in all. */
  #awaitPong(pongMs: number): void {
    const { clock, onDead } = this.#options
    // Sending it may have found that the line is dead.
    if (!this.#beating || this.#pingSentAt === undefined) return
    const leftMs = this.#pingSentAt + pongMs - clock.now()
    this.#timer?.cancel()
    this.#timer = clock.after(Math.max(leftMs, 0), () => onDead(`no answer to a ping in ${pongMs} ms`))
  }
}
