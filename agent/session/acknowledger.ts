import type { Clock, Timer } from '../../common/platform/clock.ts'

/** Long enough to gather a burst, short against any timeout of the sender. */
const DELAY_MS = 25
/** Received bytes after which an acknowledgement goes at once: it bounds what the sender must keep. */
const BYTES = 512 * 1024

/** Counts the sequenced frames that came, and decides when to say so. */
export class Acknowledger {
  readonly #clock: Clock
  readonly #wake: () => void
  #received = 0
  #bytes = 0
  #pending = false
  #due = false
  #timer: Timer | undefined

  constructor(clock: Clock, wake: () => void) {
    this.#clock = clock
    this.#wake = wake
  }

  /** Sequenced frames received so far, which is the number of the next one. */
  get received(): number {
    return this.#received
  }

  get due(): boolean {
    return this.#due
  }

  count(bytes: number): void {
    this.#received++
    this.#bytes += bytes
    this.#pending = true
    if (this.#bytes >= BYTES) this.#now()
    else this.#timer ??= this.#clock.after(DELAY_MS, () => this.#now())
  }

  /** Says again what has been received. */
  repeat(): void {
    if (this.#due) return
    this.#pending = true
    this.#timer ??= this.#clock.after(DELAY_MS, () => this.#now())
  }

  /** The count to acknowledge; nothing is due afterwards. */
  take(): number {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#bytes = 0
    this.#pending = false
    this.#due = false
    return this.#received
  }

  restart(): void {
    this.take()
    this.#received = 0
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #now(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (!this.#pending) return
    this.#due = true
    this.#wake()
  }
}
