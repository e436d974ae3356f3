import type { Clock, Timer } from '../../common/platform/clock.ts'

interface Waiting {
  at: number
  readonly periodMs: number | undefined
  readonly run: () => void
}

/** Time that passes only when a test says so. */
export class FakeClock implements Clock {
  #now: number
  #wall = 1_700_000_000_000
  readonly #waiting = new Set<Waiting>()

  constructor(startMs = 0) {
    this.#now = startMs
  }

  /** Timers that have still to fire. */
  get timers(): number {
    return this.#waiting.size
  }

  now(): number {
    return this.#now
  }

  wallNow(): number {
    return this.#wall + this.#now
  }

  after(delayMs: number, run: () => void): Timer {
    return this.#add({ at: this.#now + delayMs, periodMs: undefined, run })
  }

  every(periodMs: number, run: () => void): Timer {
    return this.#add({ at: this.#now + periodMs, periodMs, run })
  }

  /** Lets time pass and runs what falls due on the way, in order. */
  advance(ms: number): void {
    const until = this.#now + ms
    for (let next = this.#next(until); next; next = this.#next(until)) {
      this.#now = Math.max(this.#now, next.at)
      if (next.periodMs === undefined) this.#waiting.delete(next)
      else next.at += next.periodMs
      next.run()
    }
    this.#now = until
  }

  /** Moves the wall time alone, as a suspended machine finds it on waking. */
  jumpWall(ms: number): void {
    this.#wall += ms
  }

  #add(waiting: Waiting): Timer {
    this.#waiting.add(waiting)
    return { cancel: () => this.#waiting.delete(waiting) }
  }

  #next(until: number): Waiting | undefined {
    let first: Waiting | undefined
    for (const waiting of this.#waiting) {
      if (waiting.at <= until && (!first || waiting.at < first.at)) first = waiting
    }
    return first
  }
}
