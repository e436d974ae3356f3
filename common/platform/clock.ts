/** A running timer; `cancel` after it fired is harmless. */
export interface Timer {
  cancel(): void
}

/** The only source of time. `now` never jumps, so a device without a clock at boot measures intervals correctly. */
export interface Clock {
  /** Milliseconds since an arbitrary start, monotonic. */
  now(): number
  /** Milliseconds since 1970 as the device believes; may be wrong by decades before its clock is set. */
  wallNow(): number
  /** Calls `run` once after `delayMs`. The timer alone does not keep the process alive. */
  after(delayMs: number, run: () => void): Timer
  /** Calls `run` every `periodMs` until cancelled. The timer alone does not keep the process alive. */
  every(periodMs: number, run: () => void): Timer
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs)
    timer.unref()
    return { cancel: () => clearTimeout(timer) }
  },
  every(periodMs, run) {
    const timer = setInterval(run, periodMs)
    timer.unref()
    return { cancel: () => clearInterval(timer) }
  },
}

/** Resolves after `delayMs`, or at once with `false` when the signal aborts. */
export function pause(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<boolean> {
  return new Promise(resolve => {
    if (signal?.aborted) {
      resolve(false)
      return
    }
    const stop = () => {
      timer.cancel()
      resolve(false)
    }
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', stop)
      resolve(true)
    })
    signal?.addEventListener('abort', stop, { once: true })
  })
}

/**
 * A signal that aborts when `parent` does or after `delayMs`, and not any more after `done`, which has to be called. Not by
 * `AbortSignal.any`: as long as the parent lives, Node holds what that gives and everything that still listens to it.
 */
export function deadline(
  clock: Clock,
  delayMs: number,
  parent?: AbortSignal,
): { readonly signal: AbortSignal; done(): void } {
  const own = new AbortController()
  const end = (reason: unknown) => {
    done()
    own.abort(reason)
  }
  const stop = () => end(parent?.reason)
  const done = () => {
    timer.cancel()
    parent?.removeEventListener('abort', stop)
  }
  const timer = clock.after(delayMs, () => end(new DOMException(`no answer in ${delayMs} ms`, 'TimeoutError')))
  parent?.addEventListener('abort', stop, { once: true })
  if (parent?.aborted) stop()
  return { signal: own.signal, done }
}
