import type { Clock, Timer } from '../../common/platform/clock.ts'

/**
 * The wait for the next try. Its length may change while it runs, and counts from its begin: else what changes it often,
 * as short streams do, would put the try off for ever.
 */
export class RetryWait {
  readonly #clock: Clock
  #timer: Timer | undefined
  #since = 0
  #then: () => void = () => undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get waiting(): boolean {
    return this.#timer !== undefined
  }

  /** Begins a wait, in place of one that runs. */
  begin(ms: number, then: () => void): void {
    this.#since = this.#clock.now()
    this.#then = then
    this.#arm(ms)
  }

  /** Makes a wait that runs as long as this from its begin; one that has been as long ends at once. */
  adjust(ms: number): void {
    if (this.#timer) this.#arm(Math.max(0, this.#since + ms - this.#clock.now()))
  }

  cancel(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #arm(ms: number): void {
    this.#timer?.cancel()
    this.#timer = this.#clock.after(ms, () => {
      this.#timer = undefined
      this.#then()
    })
  }
}
