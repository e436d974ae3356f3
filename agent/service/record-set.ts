import { createHash } from 'node:crypto'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { SYNC_ID_BYTES } from '../../common/wire/sync-message.ts'
import type { AddressRecords } from '../rendezvous/address-records.ts'
import type { Network } from '../trust/network.ts'
import type { SyncItem, SyncSet } from './sync-set.ts'

export const RECORD_SET = 2

/** In a larger network each keeps the records of others, so there is nothing to have alike. */
const MAX_MEMBERS = 1_000

/** Our own record, and the last one of each peer. */
interface KnownRecords extends Pick<AddressRecords, 'takeSoon'> {
  readonly own: Pick<AddressRecords['own'], 'bytes'>
  readonly book: Pick<AddressRecords['book'], 'list' | 'get' | 'revision'>
}

/** Where the members say that they are: of each the last record that is known here. Every one is signed by its peer. */
export class RecordSet implements SyncSet {
  readonly number = RECORD_SET
  readonly #network: Pick<Network, 'roster' | 'count' | 'isMember'>
  readonly #records: KnownRecords
  /** What was told of each, so that nothing is told twice. */
  readonly #told = new Map<PeerId, Uint8Array>()

  constructor(network: Pick<Network, 'roster' | 'count' | 'isMember'>, records: KnownRecords) {
    this.#network = network
    this.#records = records
  }

  get revision(): string {
    const own = this.#records.own.bytes
    return `${this.#network.roster.revision} ${this.#records.book.revision} ${own ? idOf(own) : ''}`
  }

  *items(): IterableIterator<SyncItem> {
    const own = this.#records.own.bytes
    if (own) yield recordItem(own)
    if (this.#network.count > MAX_MEMBERS) return
    // Of a peer that only the config names nobody else is told.
    for (const { peer, bytes } of this.#records.book.list()) if (this.#network.isMember(peer)) yield recordItem(bytes)
  }

  async take(items: readonly Uint8Array[]): Promise<void> {
    for (const item of items) await this.#records.takeSoon(item, 'member')
  }

  /** What is to be told of a peer that something was learnt of; undefined when that is nothing new, or not for members. */
  newsOf(peer: PeerId): SyncItem | undefined {
    const bytes = this.#network.isMember(peer) ? this.#records.book.get(peer)?.bytes : undefined
    if (!bytes || this.#told.get(peer) === bytes) return undefined
    if (this.#told.size > MAX_MEMBERS) this.#told.clear()
    this.#told.set(peer, bytes)
    return recordItem(bytes)
  }
}

function recordItem(bytes: Uint8Array): SyncItem {
  return { id: idOf(bytes), encode: () => bytes }
}

function idOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest().toString('latin1', 0, SYNC_ID_BYTES)
}
