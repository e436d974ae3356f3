import type { Clock } from '../../common/platform/clock.ts'

/** What an owner lets others use of this device's line. */
export interface CarryLimits {
  /** For all together, either way counted once. */
  readonly mbit: number
  readonly gbPerDay: number
  readonly pipes: number
}

const HOUR_MS = 3_600_000
const HOURS = 24
/** What may go at once after a rest, in time of the full rate. */
const BURST_MS = 50

/**
 * The bytes that pipes may carry: a rate that they share in the order in which they ask, and so many in any 24 hours. It
 * goes by monotonic time, since a board may not know the date.
 */
export class CarryBudget {
  readonly #clock: Clock
  readonly #limits: () => Pick<CarryLimits, 'mbit' | 'gbPerDay'>
  /** When what was taken so far has gone at the full rate. */
  #freeAt = Number.NEGATIVE_INFINITY
  /** Bytes by hour; at `#hour % HOURS` those of this one. */
  readonly #hours = new Array<number>(HOURS).fill(0)
  #hour: number

  constructor(clock: Clock, limits: () => Pick<CarryLimits, 'mbit' | 'gbPerDay'>) {
    this.#clock = clock
    this.#limits = limits
    this.#hour = Math.floor(clock.now() / HOUR_MS)
  }

  /** Of the last 24 hours. */
  get bytes(): number {
    this.#turn()
    return this.#hours.reduce((sum, bytes) => sum + bytes, 0)
  }

  get spent(): boolean {
    return this.bytes >= this.#limits().gbPerDay * 1e9
  }

  /** Takes so many; gives the ms after which they may go, or undefined when the day's are used up. */
  take(bytes: number): number | undefined {
    if (this.spent) return undefined
    const at = this.#hour % HOURS
    this.#hours[at] = (this.#hours[at] ?? 0) + bytes
    const now = this.#clock.now()
    const from = Math.max(this.#freeAt, now - BURST_MS)
    this.#freeAt = from + bytes / (this.#limits().mbit * 125)
    return Math.max(0, this.#freeAt - now)
  }

  #turn(): void {
    const hour = Math.floor(this.#clock.now() / HOUR_MS)
    for (let next = Math.max(this.#hour + 1, hour - HOURS + 1); next <= hour; next++) this.#hours[next % HOURS] = 0
    this.#hour = hour
  }
}
