import type { CulvertError } from '../../common/errors.ts'
import type { Clock, Timer } from '../../common/platform/clock.ts'

/** Calls under way at a time; the one before those is given up. */
const MAX_CALLS = 3
/** Just now is no reason to call again. */
const MIN_APART_MS = 300

export interface CallRaceOptions {
  readonly clock: Clock
  /** Places one call; gives why it failed. */
  readonly place: (signal: AbortSignal) => Promise<CulvertError | undefined>
  /** How long the newest call may take before another is placed beside it; `calls` is how many there were. */
  readonly patienceMs: (calls: number) => number
  /** Somebody waits, so another call is worth its bytes. */
  readonly waiting: () => boolean
}

interface Call {
  readonly number: number
  readonly stop: AbortController
}

/**
 * Calls a peer, and calls again beside a call that hangs: what that was begun on may be gone, or the line only slow. The
 * first that succeeds ends the others; the newest one that fails ends them, too, unless it was only one too many for the
 * relay.
 */
export class CallRace {
  readonly #options: CallRaceOptions
  readonly #signal: AbortSignal
  readonly #over = new AbortController()
  readonly #result = Promise.withResolvers<CulvertError | undefined>()
  /** Under way, oldest first. */
  readonly #calls: Call[] = []
  #placed = 0
  /** Whose failure is the answer. */
  #newest = 0
  #placedAt = Number.NEGATIVE_INFINITY
  #timer: Timer | undefined
  /** The newest call took longer than somebody who waits had waited, but nobody did. */
  #overdue = false

  constructor(options: CallRaceOptions, signal: AbortSignal) {
    this.#options = options
    this.#signal = signal
    this.#place()
  }

  /** Undefined when a call succeeded. */
  get result(): Promise<CulvertError | undefined> {
    return this.#result.promise
  }

  /** Something changed for the better: another call may come through at once. */
  another(): void {
    if (this.#options.clock.now() - this.#placedAt >= MIN_APART_MS) this.#place()
  }

  /** Somebody waits from now on. */
  hurry(): void {
    if (this.#overdue) this.#place()
  }

  /** No call is needed any more. */
  end(): void {
    this.#end(undefined)
  }

  #place(): void {
    const { clock, place, patienceMs, waiting } = this.#options
    if (this.#over.signal.aborted) return
    const number = ++this.#placed
    this.#newest = number
    this.#placedAt = clock.now()
    const call: Call = { number, stop: new AbortController() }
    this.#calls.push(call)
    if (this.#calls.length > MAX_CALLS) this.#calls.shift()?.stop.abort()
    this.#timer?.cancel()
    this.#overdue = false
    this.#timer = clock.after(patienceMs(number), () => {
      if (waiting()) this.#place()
      else this.#overdue = true
    })
    void place(AbortSignal.any([this.#signal, this.#over.signal, call.stop.signal])).then(error => {
      this.#ended(call, error)
    })
  }

  #ended(call: Call, error: CulvertError | undefined): void {
    const at = this.#calls.indexOf(call)
    if (at >= 0) this.#calls.splice(at, 1)
    if (!error || this.#signal.aborted) {
      this.#end(error)
      return
    }
    if (call.number !== this.#newest) return
    const older = this.#calls.at(-1)
    if (error.code === 'over-quota' && older) this.#newest = older.number
    else this.#end(error)
  }

  #end(error: CulvertError | undefined): void {
    this.#timer?.cancel()
    this.#over.abort()
    this.#result.resolve(error)
  }
}
