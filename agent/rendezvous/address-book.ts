import { openAddressRecord, openAddressRecordSoon } from '../../common/platform/address-record-proof.ts'
import { type AddressRecord, readAddressRecord } from '../../common/wire/address-record.ts'
import { sameBytes } from '../../common/wire/bytes.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'

/** Who told a record: its own peer, somebody who has it from there, or the DHT. */
export type RecordFrom = 'peer' | 'member' | 'dht'

/** One record that is kept, as it came. */
export interface KeptRecord {
  readonly peer: PeerId
  readonly sequence: number
  readonly bytes: Uint8Array
  readonly from: RecordFrom
  /** By our wall clock, ms since 1970. */
  readonly heardAt: number
}

/** Some 300 bytes each. */
export const MAX_RECORDS = 1_024
/** Nobody's clock is right to the minute. */
const CLOCK_SLACK_MS = 3_600_000
/** A number below this is no time: there were no records before. */
const FIRST_TIME_MS = Date.UTC(2025, 0)

export interface AddressBookOptions {
  readonly wallNow: () => number
  /** Whose records are worth keeping. */
  readonly isTrusted: (peer: PeerId) => boolean
  /** Those that go last when there are too many. */
  readonly isPinned: (peer: PeerId) => boolean
  /** One came in that is newer than what was known of its peer; `changed`: it says something else. */
  readonly onNew: (kept: KeptRecord, changed: boolean) => void
}

/** The last record of each peer that we trust: the one with the highest number. */
export class AddressBook {
  readonly #options: AddressBookOptions
  /** The one that came last is last. */
  readonly #kept = new Map<PeerId, KeptRecord>()
  #revision = 0

  constructor(options: AddressBookOptions, kept: readonly KeptRecord[] = []) {
    this.#options = options
    for (const record of kept.slice(-MAX_RECORDS)) this.#kept.set(record.peer, record)
  }

  /** Another number after each change. */
  get revision(): number {
    return this.#revision
  }

  get(peer: PeerId): KeptRecord | undefined {
    return this.#options.isTrusted(peer) ? this.#kept.get(peer) : undefined
  }

  /** Oldest first. */
  list(): readonly KeptRecord[] {
    return [...this.#kept.values()].filter(({ peer }) => this.#options.isTrusted(peer))
  }

  /**
   * Takes a record, when it is about somebody we trust and newer than what is known; true when it was. Throws
   * `wire-malformed` for one that is none or whose signature is not its peer's.
   */
  take(bytes: Uint8Array, from: RecordFrom): boolean {
    // The signature last: it costs the most, and what is known already comes most often.
    if (!this.#wants(bytes)) return false
    this.#keep(openAddressRecord(bytes), bytes, from)
    return true
  }

  /** As `take`, while everything else goes on. */
  async takeSoon(bytes: Uint8Array, from: RecordFrom): Promise<boolean> {
    if (!this.#wants(bytes)) return false
    const record = await openAddressRecordSoon(bytes)
    // A newer one may have come meanwhile.
    if (!this.#wants(bytes)) return false
    this.#keep(record, bytes, from)
    return true
  }

  /** Whether it is about somebody we trust and newer than what is known, whoever signed it. Throws `wire-malformed`. */
  #wants(bytes: Uint8Array): boolean {
    const { peer, sequence } = readAddressRecord(bytes)
    const known = this.#kept.get(peer)
    return this.#options.isTrusted(peer) && (!known || isNewer(bytes, sequence, known))
  }

  #keep({ peer, sequence }: AddressRecord, bytes: Uint8Array, from: RecordFrom): void {
    const known = this.#kept.get(peer)
    const kept: KeptRecord = { peer, sequence, bytes: Uint8Array.from(bytes), from, heardAt: this.#options.wallNow() }
    this.#kept.delete(peer)
    this.#kept.set(peer, kept)
    this.#revision++
    if (this.#kept.size > MAX_RECORDS) this.#dropOne(peer)
    this.#options.onNew(kept, !known || !saysTheSame(known.bytes, bytes))
  }

  #dropOne(newest: PeerId): void {
    const others = [...this.#kept.keys()].filter(peer => peer !== newest)
    const least =
      others.find(peer => !this.#options.isTrusted(peer)) ?? others.find(peer => !this.#options.isPinned(peer))
    const gone = least ?? others[0]
    if (gone !== undefined) this.#kept.delete(gone)
  }
}

/** Of two with one number, which only a copied identity makes, everybody keeps the same. */
function isNewer(bytes: Uint8Array, sequence: number, known: KeptRecord): boolean {
  if (sequence !== known.sequence) return sequence > known.sequence
  return !sameBytes(bytes, known.bytes) && Buffer.compare(bytes, known.bytes) > 0
}

function saysTheSame(a: Uint8Array, b: Uint8Array): boolean {
  const text = (bytes: Uint8Array) => JSON.stringify({ ...readAddressRecord(bytes), sequence: 0 })
  return text(a) === text(b)
}

/**
 * How long ago its peer made a record; where that clock cannot be right, how long ago it came here; undefined where ours
 * cannot be either.
 */
export function recordAgeMs(
  { sequence, heardAt }: Pick<KeptRecord, 'sequence' | 'heardAt'>,
  wallNow: number,
): number | undefined {
  const known = [sequence, heardAt].find(time => time >= FIRST_TIME_MS && time <= wallNow + CLOCK_SLACK_MS)
  return known === undefined ? undefined : Math.max(0, wallNow - known)
}
