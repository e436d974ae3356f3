import type { PeerId } from '../../common/wire/peer-id.ts'

/** What a name is to be found for. */
export interface Named {
  readonly id: PeerId
  readonly name: string
}

const LETTERS = 4
const ID_LETTERS = 52
const MAX_NAME = 63

/**
 * A name for each member that no other has. Pinned names win, for their owner chose them here. Of members that share one,
 * none has it: nothing but its signer's word tells who had it first, and who comes later must not be taken for somebody
 * else. They get a part of their id behind it, as long as it takes, which is the same on every device.
 */
export function memberNames(members: Iterable<Named>, pinned: ReadonlySet<string>): ReadonlyMap<PeerId, string> {
  const all = [...members]
  const holders = new Map<string, Holder | undefined>()
  const waiting: Holder[] = all.map(member => ({ member, letters: 0 }))
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const name = suffixed(next)
    const other = holders.get(name)
    const isLast = next.letters === ID_LETTERS
    if (other?.letters === ID_LETTERS) waiting.push(longer(next))
    else if (isLast || !(holders.has(name) || pinned.has(name))) {
      holders.set(name, next)
      if (other) waiting.push(longer(other))
    } else {
      // Once two came to a name it is nobody's, so that it does not matter who came when.
      holders.set(name, undefined)
      waiting.push(longer(next), ...(other ? [longer(other)] : []))
    }
  }
  const names = new Map([...holders].map(([name, holder]) => [holder?.member.id, name]))
  return new Map(all.map(({ id }) => [id, names.get(id) ?? id]))
}

/** A name that is not taken, for one who chose this one himself. */
export function freeName(name: string, id: PeerId, isTaken: (name: string) => boolean): string {
  for (let letters = 0; letters < ID_LETTERS; letters += LETTERS) {
    const free = suffixed({ member: { id, name }, letters })
    if (!isTaken(free)) return free
  }
  return suffixed({ member: { id, name }, letters: ID_LETTERS })
}

interface Holder {
  readonly member: Named
  /** Of the id, behind the name. */
  readonly letters: number
}

function longer({ member, letters }: Holder): Holder {
  return { member, letters: Math.min(letters + LETTERS, ID_LETTERS) }
}

function suffixed({ member: { id, name }, letters }: Holder): string {
  return letters === 0 ? name : `${name.slice(0, MAX_NAME - 1 - letters)}-${id.slice(0, letters)}`
}
