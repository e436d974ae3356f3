import { CulvertError } from '../../common/errors.ts'

/** The path in use, as far as it tells whether the process at its other end still lives. */
export interface Holder {
  readonly suspect: boolean
  readonly pongAt: number
}

/** So long a newcomer that was turned away is remembered. */
const CONTEST_MS = 60_000
/** A hello may be so old when it comes. */
const HELLO_MS = 5_000

/**
 * What a hello of another epoch means while a path is in use. `restarted`: what held the key before is gone. `ask-again`:
 * it did not have the time to show whether it still lives. `clone`: it answered since the last newcomer came, so two
 * processes have the same key; the one that was first stays, else the two would end each other's streams for ever.
 */
export function judgeNewcomer(
  holder: Holder | undefined,
  contestedAt: number | undefined,
  now: number,
): 'restarted' | 'ask-again' | 'clone' {
  if (!holder || holder.suspect) return 'restarted'
  if (contestedAt === undefined || now - contestedAt > CONTEST_MS) return 'ask-again'
  return holder.pongAt > contestedAt ? 'clone' : 'ask-again'
}

/** A peer that knew us since then greets somebody else on a path that was opened later: it has forgotten us. */
export function isForgotten(knownSince: number | undefined, openedAt: number): boolean {
  return knownSince !== undefined && openedAt - knownSince > HELLO_MS
}

/** What a session knows of the life of the process at its other end. */
export class PeerLife {
  /** When a hello of another epoch was turned away last. */
  #contestedAt: number | undefined
  /** Since when the peer has shown that it knows our epoch. */
  #knownSince: number | undefined

  knowsUs(now: number): void {
    this.#knownSince ??= now
  }

  /** The peer, or what poses as it, greets with another epoch. */
  judge(holder: Holder | undefined, now: number) {
    const verdict = judgeNewcomer(holder, this.#contestedAt, now)
    this.#contestedAt = verdict === 'restarted' ? undefined : now
    if (verdict === 'restarted') this.#knownSince = undefined
    return verdict
  }

  hasForgotten({ openedAt }: { readonly openedAt: number }): boolean {
    return isForgotten(this.#knownSince, openedAt)
  }
}

/** What a clone is told. */
export function sameIdentity(): CulvertError {
  return new CulvertError(
    'peer-refused',
    'another device with the same identity is connected to this peer; each key belongs to one device',
  )
}
