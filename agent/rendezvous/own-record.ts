import type { Clock, Timer } from '../../common/platform/clock.ts'
import type { AddressRecord, HomeRelay } from '../../common/wire/address-record.ts'
import { MAX_HOME_RELAYS } from '../../common/wire/address-record.ts'
import type { Candidate } from '../../common/wire/candidate.ts'
import { addressScope } from '../../common/wire/endpoint.ts'

/** What our record says, before it has a number and a signature. */
export type RecordContent = Pick<AddressRecord, 'places' | 'relays' | 'candidates' | 'carries'>

/** What is known now of where we can be found. */
export interface OwnPlace extends RecordContent {
  /** What is not seen now is gone; false where it may only not have been looked at yet, or nobody is there to look. */
  readonly certain: boolean
}

/** One kind of change comes with others: a new address, what the router opens there, and where relays see us. */
const SETTLE_MS = 5_000
/** Between two records, doubled while they go on to change: each is a write to the disk, and goes to everybody. */
const APART_MS = { least: 10_000, most: 30 * 60_000 } as const
/** One that says the same is made anew so that its age tells when its peer was last alive. */
const RENEW_MS = 24 * 3_600_000
/** Of a machine with many interfaces, those that come first. */
const MAX_TOLD = 12

/**
 * What a record says of our place. What somebody had to look at from outside, or a relay to tell, is kept from the record
 * before for as long as it cannot be looked at again: with every relay away it is what others have to find us by.
 */
export function recordContent(now: OwnPlace, before: RecordContent | undefined): RecordContent {
  const candidates = now.candidates.filter(isTold)
  const same = before !== undefined && isSamePlace(now.places, before.places)
  const kept = same && !now.certain ? before.candidates.filter(({ how }) => how === 'mapped' || how === 'public') : []
  const keys = new Set(candidates.map(key))
  return {
    places: now.places.length === 0 && !now.certain ? (before?.places ?? []) : now.places,
    relays: now.relays.slice(0, MAX_HOME_RELAYS).map(relay => withKnown(relay, before?.relays ?? [])),
    candidates: [...candidates, ...kept.filter(candidate => !keys.has(key(candidate)))].slice(0, MAX_TOLD),
    ...(now.carries ? { carries: true } : {}),
  }
}

/** True where one of them is not known, too: a router that was not heard yet is most often the one that was there before. */
function isSamePlace(a: readonly number[], b: readonly number[]): boolean {
  return a.length === 0 || b.length === 0 || a.some(place => b.includes(place))
}

/** UDP takes two who know of each other; link-local addresses and loopback mean something only here. */
function isTold({ kind, endpoint }: Candidate): boolean {
  const scope = addressScope(endpoint.address)
  return kind === 'tcp' && (scope === 'public' || scope === 'private' || scope === 'carrier')
}

function withKnown(relay: HomeRelay, before: readonly HomeRelay[]): HomeRelay {
  const known = before.find(({ url }) => url === relay.url)
  return { url: relay.url, id: relay.id ?? known?.id, address: relay.address ?? known?.address }
}

function key({ kind, how, endpoint }: Candidate): string {
  return `${kind} ${how} ${endpoint.address} ${endpoint.port}`
}

export interface OwnRecordOptions {
  readonly clock: Clock
  readonly look: () => OwnPlace
  readonly sign: (record: Omit<AddressRecord, 'peer'>) => Uint8Array
  /**
   * Keeps it, and outlasts a power cut when it resolves: a number that was told is not given to another record. Never
   * rejects: on a disk that takes no writes a record that is told is better than none.
   */
  readonly write: (bytes: Uint8Array) => Promise<void>
  readonly onNew: (bytes: Uint8Array) => void
}

/** Our own record: made when what it says has changed, and once a day. */
export class OwnRecord {
  readonly #options: OwnRecordOptions
  #record: Omit<AddressRecord, 'peer'> | undefined
  #bytes: Uint8Array | undefined
  /** The highest number that somebody else has of us: our own memory may have been put back. */
  #heard = 0
  #timer: Timer | undefined
  #dueAt = Number.POSITIVE_INFINITY
  #madeAt = Number.NEGATIVE_INFINITY
  #apartMs: number = APART_MS.least
  #making: Promise<void> | undefined
  #closed = false

  constructor(options: OwnRecordOptions, before?: { readonly record: AddressRecord; readonly bytes: Uint8Array }) {
    this.#options = options
    this.#record = before?.record
    this.#bytes = before?.bytes
    this.changed()
  }

  /** As it is told; undefined before the first. */
  get bytes(): Uint8Array | undefined {
    return this.#bytes
  }

  get sequence(): number {
    return this.#record?.sequence ?? 0
  }

  /** As it tells them. */
  get relays(): readonly HomeRelay[] {
    return this.#record?.relays ?? []
  }

  /** What the record says may have changed. */
  changed(): void {
    const now = this.#options.clock.now()
    this.#lookAt(Math.max(now + SETTLE_MS, this.#madeAt + this.#apartMs))
  }

  /** Somebody has another record of ours. */
  heard(sequence: number): void {
    if (sequence < this.sequence || sequence <= this.#heard) return
    this.#heard = sequence
    this.changed()
  }

  /** Resolves when nothing is being written any more. */
  async close(): Promise<void> {
    this.#closed = true
    this.#timer?.cancel()
    await this.#making
  }

  #lookAt(at: number): void {
    if (this.#closed || at >= this.#dueAt) return
    this.#timer?.cancel()
    this.#dueAt = at
    const { clock } = this.#options
    this.#timer = clock.after(at - clock.now(), () => {
      this.#dueAt = Number.POSITIVE_INFINITY
      this.#making = (this.#making ?? Promise.resolve()).then(() => this.#make())
    })
  }

  async #make(): Promise<void> {
    const { clock, look, sign, write, onNew } = this.#options
    if (this.#closed) return
    const content = recordContent(look(), this.#record)
    const wallNow = Math.floor(clock.wallNow())
    const before = this.#record
    if (before && before.sequence >= this.#heard && isSame(content, before)) {
      const renewIn = before.sequence + RENEW_MS - wallNow
      if (renewIn > 0) {
        this.#lookAt(clock.now() + Math.min(renewIn, RENEW_MS))
        return
      }
    }
    const record = { ...content, sequence: Math.max(this.sequence + 1, this.#heard + 1, wallNow) }
    const bytes = sign(record)
    await write(bytes)
    const now = clock.now()
    const quiet = now - this.#madeAt > APART_MS.most
    this.#apartMs = quiet ? APART_MS.least : Math.min(this.#apartMs * 2, APART_MS.most)
    this.#madeAt = now
    this.#record = record
    this.#bytes = bytes
    this.#lookAt(now + RENEW_MS)
    if (!this.#closed) onNew(bytes)
  }
}

function isSame(a: RecordContent, b: RecordContent): boolean {
  const text = ({ places, relays, candidates, carries = false }: RecordContent) =>
    JSON.stringify([places, relays, candidates, carries])
  return text(a) === text(b)
}
