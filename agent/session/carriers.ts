import type { PeerId } from '../../common/wire/peer-id.ts'

/** How our session with a peer goes: by itself, over a relay, over a pipe that a third one carries, or not at all. */
export type Link = 'direct' | 'relayed' | 'piped' | 'none'

/** A peer that says that it carries for others. */
export interface Carrier {
  readonly id: PeerId
  readonly link: Link
  /** An address of it is known. */
  readonly addressed: boolean
}

/** How it went lately with one of them. */
export interface CarrierFailure {
  readonly failures: number
  readonly at: number
}

/** Asked for one call. */
export const MAX_ASKED = 4
const AGAIN_MS = { least: 1_000, most: 60_000 } as const

/**
 * Whom to ask for a pipe: at once those that we have a direct path to, which costs a stream; then those that can be
 * dialled. What goes over a relay or a pipe itself carries nothing: that would cost the line of a fourth, or go round
 * in circles. For one that carries itself nobody else is dialled: two would else call each other through each other.
 */
export function carriersFor(
  target: { readonly id: PeerId; readonly carries: boolean },
  carriers: readonly Carrier[],
  failures: ReadonlyMap<PeerId, CarrierFailure>,
  now: number,
): { readonly live: readonly PeerId[]; readonly others: readonly PeerId[] } {
  const rested = carriers.filter(({ id }) => id !== target.id && isRested(failures.get(id), now))
  const fewestFirst = rested.toSorted(
    (a, b) => (failures.get(a.id)?.failures ?? 0) - (failures.get(b.id)?.failures ?? 0),
  )
  const live = fewestFirst.filter(({ link }) => link === 'direct').slice(0, MAX_ASKED)
  const others = fewestFirst.filter(({ link, addressed }) => !target.carries && link === 'none' && addressed)
  return {
    live: live.map(({ id }) => id),
    others: others.slice(0, MAX_ASKED - live.length).map(({ id }) => id),
  }
}

function isRested(failure: CarrierFailure | undefined, now: number): boolean {
  if (!failure) return true
  return now - failure.at >= Math.min(AGAIN_MS.least * 2 ** (failure.failures - 1), AGAIN_MS.most)
}

/** Sessions that an agent without a relay keeps, so that others find it there. */
export const MAX_HOMES = 2

/** Which carriers to stay connected with while no relay is there: those of before, then those that are connected. */
export function homesAmong(carriers: readonly Carrier[], before: ReadonlySet<PeerId>): readonly PeerId[] {
  const worth = ({ id, link, addressed }: Carrier) =>
    link === 'direct' ? (before.has(id) ? 3 : 2) : link === 'none' && addressed ? 1 : 0
  return carriers
    .filter(carrier => worth(carrier) > 0)
    .toSorted((a, b) => worth(b) - worth(a))
    .slice(0, MAX_HOMES)
    .map(({ id }) => id)
}
