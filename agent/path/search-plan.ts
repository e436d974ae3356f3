import type { Random } from '../../common/platform/random.ts'
import { ALL_PORTS, type PortPattern, type PortWindow } from '../nat/port-pattern.ts'

/**
 * How a way over UDP is sought where one NAT or both take another outside port for each destination, as pure functions.
 *
 * A hard side that cannot tell its port opens many, and the easy side, which everybody meets at one, tries the hard
 * side's ports at random: of 256 among 64,512 it hits one with its 175th packet, in the middle (the birthday problem).
 */
export type HardPlan =
  /** One flow, between two questions to relays, tells its own port. */
  | { readonly kind: 'sandwich' }
  /** So many flows; each has one of these ports. */
  | { readonly kind: 'spread'; readonly sockets: number; readonly window: PortWindow }

/** Measured: 128 sockets take half as long again, and 256 entries are little for any router. */
const SPREAD_SOCKETS = 256
/** A block has some thousand ports, so the fifteenth packet hits, in the middle. */
const BLOCK_SOCKETS = 64
/** Flows of each of two sides that count their ports: as many of others' may come in between. */
export const AIMED_SOCKETS = 32

/** What else of ours stands in the router's table: connections to relays, questions to STUN servers. */
const RESERVED_ENTRIES = 100
/** A window this small is gone over again and again, as packets may be lost. */
export const SMALL_WINDOW = 64

export function planHardSide(pattern: PortPattern, budgetEntries: number): HardPlan {
  const most = Math.max(1, Math.floor(entriesForSearch(budgetEntries) / 2))
  switch (pattern.kind) {
    case 'preserved':
    case 'sequential':
      return { kind: 'sandwich' }
    case 'block':
      return { kind: 'spread', sockets: Math.min(BLOCK_SOCKETS, most), window: pattern.window }
    case 'random':
      return { kind: 'spread', sockets: Math.min(SPREAD_SOCKETS, most), window: ALL_PORTS }
    default:
      return pattern satisfies never
  }
}

/** Entries that one search may have alive, of those that all probing may. */
export function entriesForSearch(budgetEntries: number): number {
  return Math.max(0, budgetEntries - RESERVED_ENTRIES)
}

/** Every port of a window once, in random order, drawn as they are needed: the whole order would be 129 kB. */
export function* portsInRandomOrder({ first, count }: PortWindow, random: Random): Generator<number, void> {
  // Of the list that Fisher and Yates shuffle, only what has moved.
  const moved = new Map<number, number>()
  for (let left = count; left > 0; left--) {
    const at = random.integer(0, left)
    const last = moved.get(left - 1) ?? left - 1
    yield first + (moved.get(at) ?? at)
    moved.set(at, last)
    moved.delete(left - 1)
  }
}
