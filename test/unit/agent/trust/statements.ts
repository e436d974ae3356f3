import type { Kept } from '../../../../agent/trust/register.ts'
import { keep } from '../../../../agent/trust/register.ts'
import type { Roster } from '../../../../agent/trust/roster.ts'
import { type KeyPair, keyPairFromSeed } from '../../../../common/platform/ed25519.ts'
import { signEntry } from '../../../../common/platform/membership-proof.ts'
import { encodeDetails, hashOfDetails, memberDetails } from '../../../../common/wire/member-details.ts'
import { type EntryBody, NO_DETAILS } from '../../../../common/wire/membership.ts'
import type { PeerId } from '../../../../common/wire/peer-id.ts'

export const keyOf = (n: number): KeyPair => keyPairFromSeed(new Uint8Array(32).fill(n))

export const ROOT = keyOf(250)

export interface Says {
  readonly peer: PeerId
  readonly version: number
  readonly grant?: number
  readonly removed?: boolean
  readonly admin?: boolean
  readonly name?: string
  readonly roles?: readonly string[]
  readonly notAfter?: number
  readonly issuedAt?: number
  readonly network?: PeerId
}

const SALT = { bytes: (length: number) => new Uint8Array(length).fill(7) }

/** A statement that says this, signed by that key. */
export function say(by: KeyPair, says: Says): Kept {
  const { peer, version, removed = false, admin = false, grant = admin ? version : 0 } = says
  const details = removed ? undefined : memberDetails(says.name ?? `p-${peer.slice(0, 8)}`, says.roles ?? [], SALT)
  const body: Omit<EntryBody, 'signer'> = {
    network: says.network ?? ROOT.id,
    peer,
    version,
    grant,
    issuedAt: says.issuedAt ?? 1_795_000_000,
    notAfter: says.notAfter ?? 0,
    removed,
    admin,
    details: details ? hashOfDetails(encodeDetails(details)) : NO_DETAILS,
  }
  return keep({ entry: signEntry(body, by), details })
}

/** All that a roster says, in a form that two of them can be compared by. */
export function viewOf(roster: Roster) {
  const standings = [...roster.standings()].map(([peer, { member, admin, by }]) => ({ peer, member, admin, by: by.id }))
  const kept = [...roster.statements()].map(({ id }) => id).toSorted()
  return { kept, standings: standings.toSorted((a, b) => (a.peer < b.peer ? -1 : 1)) }
}
