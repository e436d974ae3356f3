import type { PeerId } from '../../common/wire/peer-id.ts'
import { type Guest, MAX_GUESTS } from '../../common/wire/relay-message.ts'

/** Ours: more open ones than this are nobody's wish. */
export const MAX_OPEN_INVITES = 64
/** All, with those whose end is still told. */
export const MAX_INVITES = 256
/** How long who comes with an old code is told that it is used, or expired; later he is a stranger like any other. */
const REMEMBERED_S = 30 * 86_400
/** The same over a relay that admits not everybody: it has a place for each of them. */
const TOLD_S = 7 * 86_400

/** One invitation, as the inviter keeps it: not its secret, but two things that the secret makes. Times in s since 1970. */
export interface Invite {
  readonly guest: PeerId
  /** By which it recognises us on a LAN. */
  readonly lanKey: Uint8Array
  /** What the invited device shall be called; undefined: as it likes. */
  readonly name: string | undefined
  readonly roles: readonly string[]
  readonly createdAt: number
  readonly expiresAt: number
  readonly usedBy: PeerId | undefined
}

/**
 * What a guest gets who comes for `peer`. `again`: this very device was let in by it and may have missed the answer.
 * `clock`: ours is behind the time at which the invitation was made, so it cannot tell whether that is over.
 */
export type InviteVerdict = 'open' | 'again' | 'used' | 'expired' | 'clock' | 'unknown'

/** Whether who comes is a member already, or was one for a time: no code is good for a second time. */
export type GuestStanding = 'member' | 'ended' | 'none'

export function judgeInvite(
  invite: Invite | undefined,
  peer: PeerId,
  now: number,
  standing: GuestStanding = 'none',
): InviteVerdict {
  if (!invite) return 'unknown'
  if (invite.usedBy !== undefined) {
    if (invite.usedBy !== peer) return 'used'
    if (standing === 'member') return 'again'
    return standing === 'ended' || now >= invite.expiresAt ? 'expired' : 'again'
  }
  if (now < invite.createdAt) return 'clock'
  return now >= invite.expiresAt ? 'expired' : 'open'
}

export function isOpen(invite: Invite, now: number): boolean {
  return invite.usedBy === undefined && now < invite.expiresAt
}

/** Of whom relays are told: who may come, then who is to hear that it is used or expired, the latest first. */
export function guestsOf(invites: readonly Invite[], now: number): readonly Guest[] {
  const [open, over] = [true, false].map(wanted => invites.filter(invite => isOpen(invite, now) === wanted))
  const latest = (over ?? [])
    .filter(({ expiresAt }) => now < expiresAt + TOLD_S)
    .toSorted((a, b) => b.expiresAt - a.expiresAt)
  return [...(open ?? []), ...latest]
    .slice(0, MAX_GUESTS)
    .map(({ guest, expiresAt }) => ({ id: guest, notAfter: expiresAt + TOLD_S }))
}

/** Without those that nobody needs to hear of any more; of too many, the oldest that are over go first. */
export function tidyInvites(invites: readonly Invite[], now: number): readonly Invite[] {
  const kept = invites.filter(({ expiresAt }) => now < expiresAt + REMEMBERED_S)
  const over = kept.filter(invite => !isOpen(invite, now)).toSorted((a, b) => a.expiresAt - b.expiresAt)
  const dropped = new Set(over.slice(0, Math.max(0, kept.length - MAX_INVITES)))
  return kept.filter(invite => !dropped.has(invite))
}
