import { CulvertError } from '../common/errors.ts'
import { type Chain, decodeChain } from '../common/wire/membership.ts'
import { type PeerId, shortPeerId } from '../common/wire/peer-id.ts'
import type { Fault } from './standings.ts'

/** What the relay knows of networks. */
export interface NetworkTerms {
  /** s since 1970. */
  readonly now: number
  /** What was said against a membership since it was signed. */
  faultOf(chain: Chain): Fault | undefined
  /** What the root signed of this peer after an admin had. */
  signedAnew(network: PeerId, peer: PeerId): Chain | undefined
  /** It is known to be out of a network. */
  wasRemoved(peer: PeerId): boolean
  /** Somebody who has a line expects it. */
  isGuest(peer: PeerId): boolean
}

export const WAS_REMOVED = 'this device was removed from its network'

/** A membership whose signatures are still to be proven, or why it is none, for people. */
export type Claim = { readonly chain: Chain } | { readonly why: string }

/** Judges what a peer says about its membership by all that needs no signature. */
export function judgeClaim(
  peer: PeerId,
  membership: Uint8Array,
  terms: Pick<NetworkTerms, 'now' | 'faultOf' | 'signedAnew'>,
): Claim {
  const chain = chainIn(membership)
  if (!chain) return { why: 'it is no membership' }
  const { entry } = chain
  if (entry.peer !== peer) return { why: `it is that of ${shortPeerId(entry.peer)}` }
  if (entry.removed) return { why: WAS_REMOVED }
  if (isOver(chain, terms.now)) {
    return { why: `it ended at ${dateOf(entry.notAfter)}; an admin of the network has to renew it` }
  }
  const fault = terms.faultOf(chain)
  if (fault === undefined) return { chain }
  const anew = terms.signedAnew(entry.network, peer)
  if (anew && !isOver(anew, terms.now) && terms.faultOf(anew) === undefined) return { chain: anew }
  if (fault === 'removed') return { why: WAS_REMOVED }
  return { why: 'the admin who signed it was removed; another one has to sign it anew' }
}

/** `2026-11-26 13:45 UTC`; it has passed, so it is a date. */
function dateOf(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

export function isOver({ entry: { notAfter } }: Chain, now: number): boolean {
  return notAfter > 0 && notAfter < now
}

export function chainIn(bytes: Uint8Array): Chain | undefined {
  try {
    return decodeChain(bytes)
  } catch (thrown) {
    if (thrown instanceof CulvertError && thrown.code === 'wire-malformed') return undefined
    throw thrown
  }
}
