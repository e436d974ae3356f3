import { type Entry, isByRoot } from '../../common/wire/membership.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { compareEntries, compareInRegister, type EntryKind, type Kept, kindOf } from './register.ts'

/** Ours. Admins may not fill our memory; a network that is larger needs another program. */
export const MAX_ROSTER_PEERS = 16_384
/** Of these the root alone fills the last ones, so that no admins keep it from taking a peer in. */
const ROOM_OF_ROOT = 2_048
/** Peers that one admin takes in, and as many that he removes. */
export const MAX_BY_ADMIN = 1_024
/** Three by the root and by each of ten admins. */
const MAX_KEPT_PER_PEER = 33

/** What follows for one peer from all that is kept about it. */
export interface Standing {
  readonly member: boolean
  /** May sign entries of others, as far as `notAfter` lets it be a member. */
  readonly admin: boolean
  /** Which statement says so. */
  readonly by: Kept
}

/** Why a statement was not kept: older than, or the same as, what is here; not of this network; not by who may sign; no room. */
export type Refusal = 'known' | 'foreign' | 'unauthorized' | 'full'

/** An admin with his grant. */
export type AdminKey = `${PeerId} ${number}`

export function adminKey(peer: PeerId, grant: number): AdminKey {
  return `${peer} ${grant}`
}

const NOBODY: ReadonlySet<AdminKey> = new Set()

export interface Merged {
  /** What is kept now and was not before. */
  readonly taken: readonly Kept[]
  /** Whose standing may have changed. */
  readonly touched: ReadonlySet<PeerId>
  readonly refused: Readonly<Record<Refusal, number>>
}

/**
 * Who is a member of one network: a set of registers, one for each peer, signer and kind of entry, each holding the highest
 * that ever came. So merging is commutative, associative and idempotent, and any two rosters that met are the same
 * (PROTOCOL.md §9.3). What is given to `merge` must have been proven to be signed by its signer; nothing here does I/O.
 */
export class Roster {
  readonly network: PeerId
  readonly #kept = new Map<PeerId, readonly Kept[]>()
  readonly #standings = new Map<PeerId, Standing>()
  /** By signer and kind, of those that are not the root's. */
  readonly #byAdmins = new Map<string, number>()
  #count = 0
  #revision = 0

  constructor(network: PeerId) {
    this.network = network
  }

  /** Statements that are kept. */
  get size(): number {
    return this.#count
  }

  /** Another number after each change of what is kept. */
  get revision(): number {
    return this.#revision
  }

  standing(peer: PeerId): Standing | undefined {
    return this.#standings.get(peer)
  }

  *standings(): IterableIterator<readonly [PeerId, Standing]> {
    yield* this.#standings
  }

  /** All that is kept, what the root signed first: in this order each proves what follows. */
  *statements(): IterableIterator<Kept> {
    for (const byRoot of [true, false]) {
      for (const kept of this.#kept.values()) yield* kept.filter(({ entry }) => isByRoot(entry) === byRoot)
    }
  }

  /** Why `merge` would refuse this, known without looking at the signature. `brought`: admins that come with it. */
  refuses(entry: Entry, brought: ReadonlySet<AdminKey> = NOBODY): Refusal | undefined {
    if (entry.network !== this.network) return 'foreign'
    const known = this.#register(entry.peer, entry.signer, kindOf(entry))
    if (known && compareInRegister(entry, known.entry) <= 0) return 'known'
    const authorized = isByRoot(entry) || this.#maySign(entry) || brought.has(adminKey(entry.signer, entry.grant))
    if (!authorized) return 'unauthorized'
    return this.#hasRoom(entry, known) ? undefined : 'full'
  }

  merge(proven: readonly Kept[]): Merged {
    const refused = { known: 0, foreign: 0, unauthorized: 0, full: 0 }
    const touched = new Set<PeerId>()
    const taken = new Set<Kept>()
    // What the root says decides who may say the rest.
    for (const byRoot of [true, false]) {
      for (const statement of proven) {
        if (isByRoot(statement.entry) !== byRoot) continue
        const refusal = this.refuses(statement.entry)
        if (refusal === undefined) this.#put(statement, taken, touched)
        else refused[refusal]++
      }
      if (byRoot) this.#dropEnded(touched)
    }
    if (touched.size > 0) this.#revision++
    for (const peer of touched) this.#judge(peer)
    return { taken: [...taken].filter(({ entry, id }) => this.#holds(entry, id)), touched, refused }
  }

  /** The grant that lets a peer sign now; undefined for who is no admin. */
  grantOf(peer: PeerId): number | undefined {
    const admin = this.#register(peer, this.network, 'makes admin')
    return admin && admin.entry.grant > this.#endedUpTo(peer) ? admin.entry.grant : undefined
  }

  /** Highest version that the root gave to an entry of this peer. */
  versionByRoot(peer: PeerId): number {
    return highestVersion(this.#of(peer).filter(({ entry }) => isByRoot(entry)))
  }

  /** Highest version that anybody else than `except` gave to an entry of this peer. */
  versionOf(peer: PeerId, except?: PeerId): number {
    return highestVersion(this.#of(peer).filter(({ entry }) => entry.signer !== except))
  }

  /** What this peer signed and is kept. */
  signedBy(peer: PeerId): readonly Kept[] {
    return [...this.#kept.values()].flatMap(kept => kept.filter(({ entry }) => entry.signer === peer))
  }

  #of(peer: PeerId): readonly Kept[] {
    return this.#kept.get(peer) ?? []
  }

  #register(peer: PeerId, signer: PeerId, kind: EntryKind): Kept | undefined {
    return this.#of(peer).find(({ entry }) => entry.signer === signer && kindOf(entry) === kind)
  }

  #holds(entry: Entry, id: string): boolean {
    return this.#register(entry.peer, entry.signer, kindOf(entry))?.id === id
  }

  #maySign({ signer, grant }: Entry): boolean {
    return this.grantOf(signer) === grant
  }

  /** Up to this version the root has taken every grant back. */
  #endedUpTo(peer: PeerId): number {
    const removal = this.#register(peer, this.network, 'removes')?.entry.version ?? 0
    return Math.max(removal, this.#register(peer, this.network, 'makes member')?.entry.version ?? 0)
  }

  #hasRoom(entry: Entry, known: Kept | undefined): boolean {
    if (known) return true
    const byRoot = isByRoot(entry)
    if (!byRoot && (this.#byAdmins.get(sideOf(entry)) ?? 0) >= MAX_BY_ADMIN) return false
    const kept = this.#kept.get(entry.peer)
    if (!kept) return this.#kept.size < MAX_ROSTER_PEERS - (byRoot ? 0 : ROOM_OF_ROOT)
    return kept.length < MAX_KEPT_PER_PEER || byRoot
  }

  #put(statement: Kept, taken: Set<Kept>, touched: Set<PeerId>): void {
    const { entry } = statement
    const kind = kindOf(entry)
    const kept = this.#of(entry.peer)
    const others = kept.filter(other => other.entry.signer !== entry.signer || kindOf(other.entry) !== kind)
    this.#kept.set(entry.peer, [...others, statement])
    this.#count += others.length + 1 - kept.length
    if (others.length === kept.length) this.#countSide(entry, 1)
    taken.add(statement)
    touched.add(entry.peer)
  }

  /** With an admin goes what he signed. */
  #dropEnded(touched: Set<PeerId>): void {
    const admins = [...touched].filter(peer => this.#register(peer, this.network, 'makes admin') !== undefined)
    if (admins.length === 0) return
    const signers = new Set(admins)
    for (const [peer, kept] of this.#kept) {
      const good = kept.filter(({ entry }) => !signers.has(entry.signer) || this.#maySign(entry))
      if (good.length === kept.length) continue
      this.#count -= kept.length - good.length
      for (const { entry } of kept) if (signers.has(entry.signer) && !this.#maySign(entry)) this.#countSide(entry, -1)
      touched.add(peer)
      if (good.length > 0) this.#kept.set(peer, good)
      else this.#kept.delete(peer)
    }
  }

  #countSide(entry: Entry, by: number): void {
    if (isByRoot(entry)) return
    const side = sideOf(entry)
    const count = (this.#byAdmins.get(side) ?? 0) + by
    if (count > 0) this.#byAdmins.set(side, count)
    else this.#byAdmins.delete(side)
  }

  #judge(peer: PeerId): void {
    const standing = this.#standingOf(peer)
    if (standing) this.#standings.set(peer, standing)
    else this.#standings.delete(peer)
  }

  #standingOf(peer: PeerId): Standing | undefined {
    const admin = this.grantOf(peer) !== undefined
    // Of an admin only the root's entries count.
    const counting = this.#of(peer).filter(({ entry }) => !admin || isByRoot(entry))
    const removal = highest(counting.filter(({ entry }) => entry.removed))
    const lives = counting.filter(({ entry }) => !entry.removed)
    const back = highest(lives.filter(({ entry }) => isByRoot(entry)))
    if (removal && !(back && back.entry.version > removal.entry.version)) {
      return { member: false, admin: false, by: removal }
    }
    const by = highest(lives)
    return by && { member: true, admin, by }
  }
}

function sideOf(entry: Entry): string {
  return `${entry.signer} ${kindOf(entry)}`
}

function highestVersion(kept: readonly Kept[]): number {
  return Math.max(0, ...kept.map(({ entry }) => entry.version))
}

function highest(kept: readonly Kept[]): Kept | undefined {
  return kept.reduce<Kept | undefined>(
    (best, next) => (best && compareEntries(best.entry, next.entry) >= 0 ? best : next),
    undefined,
  )
}
