import { CulvertError } from '../../common/errors.ts'
import type { KeyPair } from '../../common/platform/ed25519.ts'
import { signEntry } from '../../common/platform/membership-proof.ts'
import type { Random } from '../../common/platform/random.ts'
import {
  ADMIN_ROLE,
  encodeDetails,
  hashOfDetails,
  type MemberDetails,
  memberDetails,
} from '../../common/wire/member-details.ts'
import { LAST_SECOND, NO_DETAILS } from '../../common/wire/membership.ts'
import { type PeerId, shortPeerId } from '../../common/wire/peer-id.ts'
import { type Kept, keep } from './register.ts'
import type { Roster } from './roster.ts'

/** Whom to take in, and as what. */
export interface Admission {
  readonly peer: PeerId
  readonly name: string
  readonly roles: readonly string[]
  /** The last second of membership, s since 1970; 0 for no end. */
  readonly notAfter: number
}

export interface SigningOptions {
  readonly roster: Roster
  readonly root: KeyPair | undefined
  readonly identity: KeyPair
  readonly random: Random
  /** s since 1970. */
  readonly now: () => number
}

/** Nobody gets here by counting. Above, the root has room for what is to hold in spite of an admin's numbers. */
const MAX_VERSION = 2 ** 52

/** What becomes of the members whom a removed admin took in. */
export type DevicesOfAdmin = 'stay' | 'go'

interface Body {
  readonly version: number
  readonly removed: boolean
  readonly admin: boolean
  readonly grant: number
  readonly notAfter: number
  readonly details: MemberDetails | undefined
}

/** What this device may sign about the members of its network, and how: with the root key where it is, else as an admin. */
export class Signing {
  readonly #options: SigningOptions

  constructor(options: SigningOptions) {
    this.#options = options
  }

  get able(): boolean {
    return this.#options.root !== undefined || this.#grant() !== undefined
  }

  /** Takes a peer in, or changes what is said of one that is in. */
  admit({ peer, name, roles, notAfter }: Admission): readonly Kept[] {
    const { roster, root, random } = this.#options
    this.#requireRight()
    const admin = roles.includes(ADMIN_ROLE)
    const standing = roster.standing(peer)
    if (root === undefined) {
      if (admin) throw denied('only a device with the network key can make an admin')
      if (standing?.admin)
        throw denied(`${shortPeerId(peer)} is an admin, whom only a device with the network key changes`)
      if (standing?.member === false) {
        throw denied(`${shortPeerId(peer)} was removed; only a device with the network key can take it in again`)
      }
    }
    if (admin && notAfter > 0) throw new CulvertError('usage', 'an admin is one until he is removed; leave the end out')
    const details = memberDetails(
      name,
      roles.filter(role => role !== ADMIN_ROLE),
      random,
    )
    // One who stays admin keeps his grant, and with it what he signed.
    const version = this.#requireVersion(peer, admin)
    const grant = admin ? (roster.grantOf(peer) ?? version) : 0
    const anew = standing?.admin && !admin ? this.#signAnew(peer) : []
    return [...anew, this.#sign(peer, { version, removed: false, admin, grant, notAfter, details })]
  }

  /** Removes a peer. What an admin signed stays, for the root signs it anew; but not the members whom he took in when they are to go, too. */
  remove(peer: PeerId, devices: DevicesOfAdmin = 'stay'): readonly Kept[] {
    const { roster, root, identity } = this.#options
    this.#requireRight()
    if (peer === identity.id) throw denied('a device does not remove itself; another admin can')
    const standing = roster.standing(peer)
    if (!standing) throw new CulvertError('peer-unknown', `${shortPeerId(peer)} is no member of the network`)
    if (!standing.member) throw new CulvertError('peer-unknown', `${shortPeerId(peer)} was removed already`)
    if (standing.admin && root === undefined) {
      throw denied(`${shortPeerId(peer)} is an admin, whom only a device with the network key removes`)
    }
    const version = this.#requireVersion(peer, true)
    const removal: Body = { version, removed: true, admin: false, grant: 0, notAfter: 0, details: undefined }
    return [...this.#signAnew(peer, devices), this.#sign(peer, removal)]
  }

  #requireRight(): void {
    if (!this.able) throw denied('this device is no admin of the network')
  }

  #grant(): number | undefined {
    return this.#options.roster.grantOf(this.#options.identity.id)
  }

  /** By the root, what holds now and holds only because this admin says so. */
  #signAnew(admin: PeerId, devices: DevicesOfAdmin = 'stay'): readonly Kept[] {
    const { roster, identity } = this.#options
    return roster.signedBy(admin).flatMap(({ entry, id }) => {
      const standing = roster.standing(entry.peer)
      if (standing?.by.id !== id) return []
      const { removed, notAfter } = entry
      if (devices === 'go' && !removed && entry.peer !== identity.id) return []
      const { details } = standing.by
      // What he signed is about to go: he must not be able to leave the root no higher version.
      const version = this.#nextVersion(entry.peer, removed, admin)
      // Another admin's number is above all that can be counted to: he says that it is a member, then, and it holds.
      if (version === undefined) return []
      return [this.#sign(entry.peer, { version, removed, admin: false, grant: 0, notAfter, details })]
    })
  }

  #sign(peer: PeerId, { version, removed, admin, grant, notAfter, details }: Body): Kept {
    const { roster, root, identity, now } = this.#options
    const key = root ?? identity
    const body = {
      network: roster.network,
      peer,
      version,
      grant: root ? grant : (this.#grant() ?? 0),
      issuedAt: Math.min(now(), LAST_SECOND),
      notAfter,
      removed,
      admin,
      details: details ? hashOfDetails(encodeDetails(details)) : NO_DETAILS,
    }
    return keep({ entry: signEntry(body, key), details })
  }

  #requireVersion(peer: PeerId, rootAlone: boolean): number {
    const version = this.#nextVersion(peer, rootAlone)
    if (version !== undefined) return version
    throw denied(`an admin has used up the versions of ${shortPeerId(peer)}; remove that admin first`)
  }

  /** `rootAlone`: the root's removals, and what it says of admins, hold whatever versions others gave (PROTOCOL.md §9.3). */
  #nextVersion(peer: PeerId, rootAlone: boolean, except?: PeerId): number | undefined {
    const { roster, root } = this.#options
    const version = roster.versionOf(peer, except) + 1
    if (version <= MAX_VERSION) return version
    return root !== undefined && rootAlone ? roster.versionByRoot(peer) + 1 : undefined
  }
}

function denied(message: string): CulvertError {
  return new CulvertError('not-authorized', message)
}

/** The first entry of a network: its founder is an admin. */
export function foundingStatement(
  root: KeyPair,
  founder: PeerId,
  name: string,
  context: Pick<SigningOptions, 'random' | 'now'>,
): Kept {
  const details = memberDetails(name, [], context.random)
  const body = {
    network: root.id,
    peer: founder,
    version: 1,
    grant: 1,
    issuedAt: context.now(),
    notAfter: 0,
    removed: false,
    admin: true,
    details: hashOfDetails(encodeDetails(details)),
  }
  return keep({ entry: signEntry(body, root), details })
}
