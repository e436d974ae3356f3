import type { PeerId } from '../../common/wire/peer-id.ts'

/** What a name is to be found for. */
export interface Named {
  readonly id: PeerId
  readonly name: string
  /** When it was taken in, s since 1970. */
  readonly since: number
}

/**
 * A name for each member that no other has. Pinned names win, for their owner chose them here; of members with one name
 * the first one keeps it, so that nobody comes later and is taken for somebody else. The others get a part of their id
 * behind it, which is the same on every device.
 */
export function memberNames(members: Iterable<Named>, pinned: ReadonlySet<string>): ReadonlyMap<PeerId, string> {
  const taken = new Set(pinned)
  const names = new Map<PeerId, string>()
  const inOrder = [...members].toSorted((a, b) => a.since - b.since || (a.id < b.id ? -1 : 1))
  for (const { id, name } of inOrder) {
    const own = taken.has(name) ? suffixed(name, id, taken) : name
    taken.add(own)
    names.set(id, own)
  }
  return names
}

function suffixed(name: string, id: PeerId, taken: ReadonlySet<string>): string {
  for (let letters = 4; ; letters += 4) {
    // A name has 63 characters.
    const longer = `${name.slice(0, 62 - Math.min(letters, 52))}-${id.slice(0, letters)}`
    if (!taken.has(longer) || letters >= 52) return longer
  }
}
