import { decodeStatement, encodeStatement } from '../../common/wire/member-statement.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import type { Network } from '../trust/network.ts'
import type { Kept } from '../trust/register.ts'
import type { SyncItem, SyncSet } from './sync-set.ts'

export const ROSTER_SET = 1

/** The roster, as members exchange it. Every statement proves itself, whoever brings it. */
export class RosterSet implements SyncSet {
  readonly number = ROSTER_SET
  readonly #network: Network

  constructor(network: Network) {
    this.#network = network
  }

  get revision(): number {
    return this.#network.roster.revision
  }

  *items(): IterableIterator<SyncItem> {
    for (const kept of this.#network.roster.statements()) yield rosterItem(kept)
  }

  async take(items: readonly Uint8Array[], from: PeerId): Promise<void> {
    await this.#network.merge(items.map(decodeStatement), from)
  }
}

export function rosterItem(kept: Kept): SyncItem {
  return { id: kept.id, encode: () => encodeStatement(kept) }
}
