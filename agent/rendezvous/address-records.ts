import { CulvertError } from '../../common/errors.ts'
import { signAddressRecord } from '../../common/platform/address-record-proof.ts'
import type { Clock } from '../../common/platform/clock.ts'
import type { KeyPair } from '../../common/platform/ed25519.ts'
import type { Log } from '../../common/platform/log.ts'
import { readAddressRecord } from '../../common/wire/address-record.ts'
import { formatCandidate } from '../../common/wire/candidate.ts'
import { type PeerId, shortPeerId } from '../../common/wire/peer-id.ts'
import {
  type AddressBook,
  type AddressBookOptions,
  type KeptRecord,
  type RecordFrom,
  recordAgeMs,
} from './address-book.ts'
import { openAddressBook } from './address-book-file.ts'
import type { AddressSource } from './address-source.ts'
import { dialledBy, isNear } from './dialled-by.ts'
import type { PeerHomes } from './foreign-relays.ts'
import { type OwnPlace, OwnRecord } from './own-record.ts'
import { readOwnRecord, writeOwnRecord } from './own-record-file.ts'
import { RecordBudget } from './record-budget.ts'

/** By then a router has opened what it opens, and somebody has looked at it from outside. */
const CERTAIN_MS = 60_000

export interface AddressRecordsOptions extends Pick<AddressBookOptions, 'isTrusted' | 'isPinned'> {
  readonly stateDir: string
  readonly identity: KeyPair
  readonly clock: Clock
  readonly log: Log
  /** The places that we are in. */
  readonly places: () => readonly number[]
  /** Where we are to be found; `certain` when there is somebody who would see it. */
  readonly look: () => Omit<OwnPlace, 'places'>
  /** We have a new record, which those who share trust with us may be told. */
  readonly onOwn: () => void
  /** Something new is known of where a peer is. */
  readonly onLearnt: (peer: PeerId) => void
}

/** What devices say of where they are: our own record, and the last one of each peer. */
export class AddressRecords {
  readonly own: OwnRecord
  readonly book: AddressBook
  /** Where the records say that peers are. */
  readonly source: AddressSource
  readonly #ownId: PeerId
  readonly #places: () => readonly number[]
  readonly #budget: RecordBudget
  readonly #close: () => Promise<void>
  #carriers: { readonly revision: number; readonly ids: readonly PeerId[] } | undefined

  private constructor(
    parts: Pick<AddressRecords, 'own' | 'book' | 'source'>,
    options: AddressRecordsOptions,
    close: () => Promise<void>,
  ) {
    this.own = parts.own
    this.book = parts.book
    this.source = parts.source
    this.#ownId = options.identity.id
    this.#places = options.places
    this.#budget = new RecordBudget(options.clock)
    this.#close = close
  }

  static async open(options: AddressRecordsOptions): Promise<AddressRecords> {
    const { stateDir, identity, clock, log, places, look, isTrusted, isPinned, onLearnt, onOwn } = options
    const kept = await openAddressBook(
      { stateDir, clock, log },
      {
        isTrusted,
        isPinned,
        onNew: ({ peer, from, bytes }, changed) => {
          if (!changed) return
          log.debug('learnt where a peer is', { peer: shortPeerId(peer), from, addresses: addressesIn(bytes) })
          onLearnt(peer)
        },
      },
    )
    const { book } = kept
    const startedAt = clock.now()
    const own = new OwnRecord(
      {
        clock,
        look: () => {
          const place = look()
          return { ...place, places: places(), certain: place.certain && clock.now() - startedAt >= CERTAIN_MS }
        },
        sign: record => signAddressRecord(record, identity),
        write: bytes => writeOwnRecord(stateDir, bytes, log),
        onNew: bytes => {
          log.debug('a new record of where we are', { addresses: addressesIn(bytes) })
          onOwn()
        },
      },
      await readOwnRecord(stateDir, identity.id, log),
    )
    const certain = clock.after(CERTAIN_MS, () => own.changed())
    const wordOf = (known: KeptRecord) => {
      const ageMs = recordAgeMs(known, clock.wallNow())
      return { source: known.from === 'dht' ? 'dht' : 'record', ...(ageMs === undefined ? {} : { ageMs }) } as const
    }
    const source: AddressSource = {
      name: 'record',
      addresses: peer => {
        const known = book.get(peer)
        if (!known) return []
        const word = wordOf(known)
        return dialledBy(readAddressRecord(known.bytes), places()).map(address => ({ ...address, ...word }))
      },
      words: peer => {
        const known = book.get(peer)
        return known ? [wordOf(known)] : []
      },
    }
    return new AddressRecords({ own, book, source }, options, async () => {
      certain.cancel()
      await own.close()
      await kept.close()
    })
  }

  /** A peer tells its own; throws `wire-malformed` for anything else. */
  takeFrom(peer: PeerId, bytes: Uint8Array): void {
    if (readAddressRecord(bytes).peer !== peer) {
      throw new CulvertError('wire-malformed', "a peer told another one's address record as its own")
    }
    this.book.take(bytes, 'peer')
  }

  /** Where a peer says that it can be called. */
  homesOf(peer: PeerId): PeerHomes | undefined {
    const known = this.book.get(peer)
    if (!known) return undefined
    const record = readAddressRecord(known.bytes)
    return { relays: record.relays, near: isNear(record, this.#places()) }
  }

  /** Peers that say that they carry bytes for others. */
  carriers(): readonly PeerId[] {
    const { revision } = this.book
    if (this.#carriers?.revision !== revision) {
      const ids = this.book.list().flatMap(({ peer, bytes }) => (readAddressRecord(bytes).carries ? [peer] : []))
      this.#carriers = { revision, ids }
    }
    return this.#carriers.ids.filter(id => this.book.get(id) !== undefined)
  }

  /** Where the relay with this URL was found last, for when its name leads nowhere. */
  relayAddress(url: string): string | undefined {
    return this.own.relays.find(relay => relay.url === url)?.address
  }

  /** Somebody else tells one, ours maybe; true when it was news. Throws `wire-malformed`. */
  take(bytes: Uint8Array, from: Exclude<RecordFrom, 'peer'>): boolean {
    const { peer, sequence } = readAddressRecord(bytes)
    if (peer !== this.#ownId) return this.book.take(bytes, from)
    this.own.heard(sequence)
    return false
  }

  /**
   * As `take`, while everything else goes on, and of one peer no more in a period than it makes: a member can sign as many
   * of its own as it likes. What is passed over comes again, as its last one, by the next exchange.
   */
  async takeSoon(bytes: Uint8Array, from: Exclude<RecordFrom, 'peer'>): Promise<boolean> {
    const { peer } = readAddressRecord(bytes)
    if (peer === this.#ownId) return this.take(bytes, from)
    if (this.#budget.isOver(peer) || !(await this.book.takeSoon(bytes, from))) return false
    this.#budget.took(peer)
    return true
  }

  /** Writes what is not on the disk yet. */
  close(): Promise<void> {
    return this.#close()
  }
}

function addressesIn(record: Uint8Array): string {
  return readAddressRecord(record).candidates.map(formatCandidate).join(', ')
}
