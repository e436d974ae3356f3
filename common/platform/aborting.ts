import { CulvertError } from '../errors.ts'

/** Waits for work that cannot be stopped, such as looking up a name; rejects with `aborted` once the signal aborts. */
export function aborting<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(new CulvertError('aborted', 'aborted', { cause: signal.reason }))
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
