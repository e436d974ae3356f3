import { CulvertError } from '../../common/errors.ts'
import type { Clock } from '../../common/platform/clock.ts'

export interface PathWait<T> {
  readonly limitMs: number
  readonly signal: AbortSignal
  /** What is waited for; undefined while it has not come. May throw why it will not. */
  readonly look: () => T | undefined
  /** Why the time is over. */
  readonly late: () => CulvertError
}

/** Those who wait for something of the paths to one peer. */
export class PathWaiters {
  readonly #clock: Clock
  readonly #looks = new Set<() => void>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get waiting(): boolean {
    return this.#looks.size > 0
  }

  /** Something changed: everybody looks. */
  wake(): void {
    for (const look of [...this.#looks]) look()
  }

  /** Looks at every change from now on. */
  wait<T>({ limitMs, signal, look, late }: PathWait<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = () => {
        timer.cancel()
        this.#looks.delete(again)
        signal.removeEventListener('abort', abort)
      }
      const fail = (thrown: unknown) => {
        settle()
        reject(thrown)
      }
      const again = () => {
        try {
          const found = look()
          if (found === undefined) return
          settle()
          resolve(found)
        } catch (thrown) {
          fail(thrown)
        }
      }
      const abort = () => fail(new CulvertError('aborted', 'connecting was aborted', { cause: signal.reason }))
      const timer = this.#clock.after(limitMs, () => fail(late()))
      this.#looks.add(again)
      signal.addEventListener('abort', abort, { once: true })
      if (signal.aborted) abort()
    })
  }
}
