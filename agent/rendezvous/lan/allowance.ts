import type { Clock } from '../../../common/platform/clock.ts'

/** What may be spent: so much at once, and so much more each minute. */
export class Allowance {
  readonly #clock: Pick<Clock, 'now'>
  readonly #most: number
  readonly #perMinute: number
  #left: number
  #at: number

  constructor(clock: Pick<Clock, 'now'>, most: number, perMinute: number) {
    this.#clock = clock
    this.#most = most
    this.#perMinute = perMinute
    this.#left = most
    this.#at = clock.now()
  }

  /** False, and nothing spent, when there is less. */
  take(amount: number): boolean {
    const now = this.#clock.now()
    this.#left = Math.min(this.#most, this.#left + ((now - this.#at) / 60_000) * this.#perMinute)
    this.#at = now
    if (this.#left < amount) return false
    this.#left -= amount
    return true
  }
}
