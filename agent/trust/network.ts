import { CulvertError } from '../../common/errors.ts'
import type { Clock } from '../../common/platform/clock.ts'
import type { KeyPair } from '../../common/platform/ed25519.ts'
import type { Random } from '../../common/platform/random.ts'
import type { Statement } from '../../common/wire/member-statement.ts'
import { isByRoot, LAST_SECOND } from '../../common/wire/membership.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { isOver, type KnownTime, knownTime } from './known-time.ts'
import type { NetworkKeys } from './network-file.ts'
import { type Proven, prove } from './prove.ts'
import type { Kept } from './register.ts'
import { Roster } from './roster.ts'
import { type Admission, type DevicesOfAdmin, Signing } from './signing.ts'

/** A peer that is in our network now. */
export interface Member {
  readonly id: PeerId
  /** As it is signed; two members may have one name. */
  readonly name: string
  readonly roles: readonly string[]
  readonly admin: boolean
  /** The last second of membership, s since 1970; 0 for no end. */
  readonly notAfter: number
}

/** What this device is in its network; `unknown`: its roster does not tell, since it was lost. */
export type OwnStanding = 'member' | 'removed' | 'expired' | 'unknown'

/** What changed: `taken` is to be told to others, of `touched` somebody may have come or gone. */
export interface NetworkChange {
  readonly taken: readonly Kept[]
  readonly touched: ReadonlySet<PeerId>
  /** Who told us; undefined when it was signed here. */
  readonly from: PeerId | undefined
}

export interface NetworkOptions extends NetworkKeys {
  readonly identity: KeyPair
  readonly root: KeyPair | undefined
  readonly statements: Iterable<Kept>
  readonly damage?: string | undefined
  readonly clock: Clock
  readonly random: Random
  readonly onChange: (change: NetworkChange) => void
}

/** The network that this device belongs to: who else does, and what this device may say about that. */
export class Network {
  readonly id: PeerId
  readonly secret: Uint8Array
  /** What was lost of the roster, in words; undefined for nothing. */
  readonly damage: string | undefined
  readonly #options: NetworkOptions
  readonly #roster: Roster
  readonly #signing: Signing
  /** The latest time that the root signed, or a relay told: s since 1970, and when we learnt of it. */
  #atLeast = { s: 0, at: 0 }

  constructor(options: NetworkOptions) {
    this.#options = options
    this.id = options.network
    this.secret = options.secret
    this.damage = options.damage
    this.#roster = new Roster(options.network)
    this.#note(this.#roster.merge([...options.statements]).taken)
    const { root, identity, random } = options
    this.#signing = new Signing({ roster: this.#roster, root, identity, random, now: () => this.now().s })
  }

  get own(): OwnStanding {
    const { identity } = this.#options
    const standing = this.#roster.standing(identity.id)
    if (!standing) return 'unknown'
    if (!standing.member) return 'removed'
    return isOver(standing.by.entry.notAfter, this.now()) ? 'expired' : 'member'
  }

  /** Holds the root key. */
  get isRoot(): boolean {
    return this.#options.root !== undefined
  }

  /** May take peers in and remove them. */
  get isAdmin(): boolean {
    return this.own === 'member' && this.#signing.able
  }

  /** Own entry, and the entry of who signed it: what proves to a relay that we belong here. Undefined while we do not. */
  get ownChain(): readonly Kept[] | undefined {
    const own = this.#roster.standing(this.#options.identity.id)
    if (!own?.member) return undefined
    return this.chainOf(own.by)
  }

  now(): KnownTime {
    const { clock } = this.#options
    const passedS = Math.floor((clock.now() - this.#atLeast.at) / 1000)
    return knownTime(clock.wallNow(), this.#atLeast.s + passedS)
  }

  /** A relay told the time, s since 1970. */
  noteTime(s: number): void {
    if (s > this.#atLeast.s && s <= LAST_SECOND) this.#atLeast = { s, at: this.#options.clock.now() }
  }

  /** In our network now, and not this device. While we are out of it ourselves, nobody is. */
  isMember(peer: PeerId): boolean {
    return this.member(peer) !== undefined
  }

  member(peer: PeerId): Member | undefined {
    if (peer === this.#options.identity.id || this.own === 'removed' || this.own === 'expired') return undefined
    return this.#memberOf(peer)
  }

  *memberIds(): IterableIterator<PeerId> {
    for (const { id } of this.members()) yield id
  }

  /** All but this device; with `own`, that, too. */
  *members(own = false): IterableIterator<Member> {
    const ourselves = this.#options.identity.id
    const out = this.own === 'removed' || this.own === 'expired'
    for (const [peer] of out ? [] : this.#roster.standings()) {
      const member = peer === ourselves && !own ? undefined : this.#memberOf(peer)
      if (member) yield member
    }
  }

  /** Members, this device included. */
  get count(): number {
    if (this.own === 'removed' || this.own === 'expired') return 0
    const now = this.now()
    let count = 0
    for (const [, { member, by }] of this.#roster.standings()) if (member && !isOver(by.entry.notAfter, now)) count++
    return count
  }

  wasRemoved(peer: PeerId): boolean {
    return this.removedAt(peer) !== undefined
  }

  /** When, s since 1970, by the clock of who signed it. */
  removedAt(peer: PeerId): number | undefined {
    return this.removalOf(peer)?.entry.issuedAt
  }

  removalOf(peer: PeerId): Kept | undefined {
    const standing = this.#roster.standing(peer)
    return standing?.member === false ? standing.by : undefined
  }

  /** Somebody was, in this very second. */
  removedIn(second: number): boolean {
    for (const [, { member, by }] of this.#roster.standings()) if (!member && by.entry.issuedAt === second) return true
    return false
  }

  /** Somebody else is called that, or was before he was removed, as it is signed. */
  hasNamed(name: string, but: PeerId): boolean {
    for (const { entry, details } of this.#roster.statements()) {
      if (details?.name === name && entry.peer !== but) return true
    }
    return false
  }

  /** It was a member for a time, which is over. */
  hasEnded(peer: PeerId): boolean {
    const standing = this.#roster.standing(peer)
    return standing?.member === true && isOver(standing.by.entry.notAfter, this.now())
  }

  /** When the next membership ends, s since 1970, of those that have not ended. */
  nextEnd(): number | undefined {
    const now = this.now().s
    let next: number | undefined
    for (const [, { member, by }] of this.#roster.standings()) {
      const { notAfter } = by.entry
      if (member && notAfter >= now && notAfter > 0 && notAfter < (next ?? Number.POSITIVE_INFINITY)) next = notAfter
    }
    return next
  }

  get roster(): Pick<Roster, 'size' | 'statements' | 'revision'> {
    return this.#roster
  }

  /** A statement, and before it that of its signer, where that is not the root. */
  chainOf(statement: Kept): readonly Kept[] {
    if (isByRoot(statement.entry)) return [statement]
    const signer = this.#roster.standing(statement.entry.signer)
    return signer ? [signer.by, statement] : [statement]
  }

  /**
   * Signs that a peer is a member, with role `admin` also that it may sign. Resolves with what is to be told. Throws
   * `not-authorized` when this device may not say that.
   */
  admit(admission: Admission): readonly Kept[] {
    this.#requireMembership()
    return this.#say(this.#signing.admit(admission))
  }

  /** Signs that a peer is no member any more. Throws `not-authorized` or `peer-unknown`. */
  remove(peer: PeerId, devices: DevicesOfAdmin = 'stay'): readonly Kept[] {
    this.#requireMembership()
    return this.#say(this.#signing.remove(peer, devices))
  }

  /** Members because this admin says so. */
  takenInBy(admin: PeerId): readonly PeerId[] {
    return this.#roster.signedBy(admin).flatMap(({ entry, id }) => {
      const standing = this.#roster.standing(entry.peer)
      return standing?.member && standing.by.id === id ? [entry.peer] : []
    })
  }

  /** Takes over what is new and proven of what somebody tells. */
  async merge(statements: readonly Statement[], from: PeerId): Promise<Proven['refused'] & { readonly taken: number }> {
    const { statements: proven, refused } = await prove(this.#roster, statements)
    const merged = this.#roster.merge(proven)
    this.#changed(merged.taken, merged.touched, from)
    return { ...refused, unauthorized: refused.unauthorized + merged.refused.unauthorized, taken: merged.taken.length }
  }

  #say(statements: readonly Kept[]): readonly Kept[] {
    const { taken, touched } = this.#roster.merge(statements)
    this.#changed(taken, touched, undefined)
    const asked = statements.at(-1)
    if (asked && !taken.some(({ id }) => id === asked.id)) {
      const message = 'the roster is full: remove who is not needed, or sign this with the network key'
      throw new CulvertError('over-quota', message)
    }
    return taken
  }

  #changed(taken: readonly Kept[], touched: ReadonlySet<PeerId>, from: PeerId | undefined): void {
    if (touched.size === 0) return
    this.#note(taken)
    this.#options.onChange({ taken, touched, from })
  }

  #note(taken: readonly Kept[]): void {
    for (const { entry } of taken) if (isByRoot(entry)) this.noteTime(entry.issuedAt)
  }

  #memberOf(id: PeerId): Member | undefined {
    const standing = this.#roster.standing(id)
    if (!standing?.member) return undefined
    const { entry, details } = standing.by
    if (!details || isOver(entry.notAfter, this.now())) return undefined
    const { name, roles } = details
    return { id, name, roles, admin: standing.admin, notAfter: entry.notAfter }
  }

  #requireMembership(): void {
    if (this.own === 'member') return
    const words = this.own === 'unknown' ? 'the roster of this device is lost' : `this device was ${this.own}`
    throw new CulvertError('not-authorized', `${words}, so it cannot speak for the network`)
  }
}
