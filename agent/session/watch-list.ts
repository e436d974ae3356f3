import type { PeerId } from '../../common/wire/peer-id.ts'

/**
 * Whose presence is asked for, of a network that may be larger than a relay can be asked about: pinned peers, those that
 * there is something with now, and then the members whose ids are nearest to ours on either side. Presence is told only
 * between two that watch each other, and nearness is mutual; so everybody sees enough others to hear news from.
 */
export function watchList(
  first: readonly PeerId[],
  members: readonly PeerId[],
  ownId: PeerId,
  limit: number,
): readonly PeerId[] {
  const chosen = new Set(first.slice(0, limit))
  if (chosen.size + members.length <= limit) return [...new Set([...chosen, ...members])]
  const ring = members.toSorted()
  const start = Math.max(
    0,
    ring.findIndex(id => id > ownId),
  )
  for (let step = 0; step < ring.length && chosen.size < limit; step++) {
    // After, before, after...: 0, -1, 1, -2, 2.
    const offset = step % 2 === 0 ? step / 2 : -(step + 1) / 2
    const id = ring[(start + offset + ring.length) % ring.length]
    if (id !== undefined) chosen.add(id)
  }
  return [...chosen]
}
