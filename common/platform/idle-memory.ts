import type { Clock, Timer } from './clock.ts'

/** Ours: long enough that a program which opens one connection after the other is not taken for done. */
const QUIET_MS = 3_000
/** Ours: what giving back costs, once a minute, is less than a thousandth of a core. */
const PERIOD_MS = 60_000
/** Ours: less is not worth a look at the whole heap. */
const WORTH_BYTES = 2 * 1024 * 1024

export interface IdleMemoryOptions {
  readonly clock: Clock
  /** Something is under way that must not be held up. */
  readonly busy: () => boolean
  readonly heldBytes: () => number
  readonly giveBack: () => void
}

/** Gives memory back soon after work has ended, and never while it goes on. */
export class IdleMemory {
  readonly #options: IdleMemoryOptions
  #timer: Timer | undefined
  #workedAt = 0
  #notBefore = Number.NEGATIVE_INFINITY
  #heldAtRest = 0

  constructor(options: IdleMemoryOptions) {
    this.#options = options
  }

  /** Something was done, or came to its end. */
  worked(): void {
    this.#workedAt = this.#options.clock.now()
    this.#timer ??= this.#options.clock.after(QUIET_MS, () => this.#look())
  }

  close(): void {
    this.#timer?.cancel()
  }

  #look(): void {
    const { clock, busy, heldBytes, giveBack } = this.#options
    this.#timer = undefined
    // Its end is told, too.
    if (busy()) return
    const waitMs = Math.max(this.#workedAt + QUIET_MS, this.#notBefore) - clock.now()
    if (waitMs > 0) {
      this.#timer = clock.after(waitMs, () => this.#look())
      return
    }
    if (heldBytes() - this.#heldAtRest < WORTH_BYTES) return
    giveBack()
    this.#heldAtRest = heldBytes()
    this.#notBefore = clock.now() + PERIOD_MS
  }
}
