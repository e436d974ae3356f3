import type { Clock, Timer } from '../../common/platform/clock.ts'

/** A clock that moves only when told to; timers fire in order of time. */
export class ManualClock implements Clock {
  #now = 0
  #wall = 1_700_000_000_000
  readonly #timers = new Set<{ at: number; readonly run: () => void; readonly periodMs: number | undefined }>()

  now(): number {
    return this.#now
  }

  wallNow(): number {
    return this.#wall + this.#now
  }

  after(delayMs: number, run: () => void): Timer {
    return this.#add(delayMs, run, undefined)
  }

  every(periodMs: number, run: () => void): Timer {
    return this.#add(periodMs, run, periodMs)
  }

  /** Moves both times forward and fires what is due. */
  advance(ms: number): void {
    const until = this.#now + ms
    for (;;) {
      const due = [...this.#timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0]
      if (!due) break
      this.#now = Math.max(this.#now, due.at)
      if (due.periodMs === undefined) this.#timers.delete(due)
      else due.at += due.periodMs
      due.run()
    }
    this.#now = until
  }

  /** Moves the wall time alone, as a suspended machine finds it on waking. */
  jumpWall(ms: number): void {
    this.#wall += ms
  }

  get timers(): number {
    return this.#timers.size
  }

  #add(delayMs: number, run: () => void, periodMs: number | undefined): Timer {
    const timer = { at: this.#now + delayMs, run, periodMs }
    this.#timers.add(timer)
    return { cancel: () => this.#timers.delete(timer) }
  }
}
