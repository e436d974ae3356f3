import type { Clock } from '../../common/platform/clock.ts'
import { isDirect } from '../path/path-choice.ts'
import type { Peer } from './peer.ts'

export interface SettledOptions {
  readonly clock: Clock
  readonly limitMs: number
  readonly signal: AbortSignal
  /** Calls the listener after every change of any peer; the result stops that. */
  readonly onChange: (listener: () => void) => () => void
}

/** Resolves when a peer is on a direct path, or as soon as no attempt for one is under way any more. */
export function settled(peer: Peer, { clock, limitMs, signal, onChange }: SettledOptions): Promise<void> {
  const isSettled = () => {
    const active = peer.session?.active
    return active === undefined || isDirect(active) || peer.direct?.settling !== true
  }
  if (signal.aborted || isSettled()) return Promise.resolve()
  return new Promise(resolve => {
    const end = () => {
      timer.cancel()
      stop()
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = clock.after(limitMs, end)
    const stop = onChange(() => isSettled() && end())
    signal.addEventListener('abort', end, { once: true })
  })
}
