import { verifyBytes } from '../common/platform/ed25519.ts'
import type { Endpoint } from '../common/wire/endpoint.ts'
import type { Chain } from '../common/wire/membership.ts'
import { type PeerId, shortPeerId } from '../common/wire/peer-id.ts'
import { type AgentMessage, RELAY_PROTOCOL } from '../common/wire/relay-message.ts'
import { agentProof, type RelayHandshake } from '../common/wire/relay-proof.ts'
import { judgeClaim, type NetworkTerms, WAS_REMOVED } from './membership-claim.ts'
import { type OwnNames, whyNotOurs } from './own-names.ts'

export type Hello = Extract<AgentMessage, { readonly type: 'hello' }>

/** Who may hold a line: everybody, or these peers and the members of these networks. */
export type Admit = 'anyone' | readonly PeerId[]

/** What a hello is judged by. */
export interface AdmissionTerms {
  readonly relayId: PeerId
  /** The nonce of the challenge that this hello answers. */
  readonly relayNonce: Uint8Array
  readonly names: OwnNames
  /** Where the agent's connection arrived. */
  readonly local: Endpoint
  readonly admit: Admit
  readonly networks: NetworkTerms
}

/** Why a peer may have a line. */
export type Standing =
  /** It, or everybody, is admitted. A membership that it brings is good for what members tell each other. */
  | { readonly name: 'listed'; readonly membership: Chain | undefined }
  | { readonly name: 'member'; readonly membership: Chain }
  | { readonly name: 'guest' }

/** Why a line was refused; the label of the refusal metric. */
export type RefusalKind =
  | 'version'
  | 'name'
  | 'signature'
  | 'admission'
  | 'membership'
  | 'handshake-rate'
  | 'same-identity'
  | 'message-rate'
  | 'malformed'

export interface Refusal {
  readonly admitted: false
  readonly kind: RefusalKind
  readonly reason: string
  readonly retryAfterMs: number
}

export type Verdict =
  | { readonly admitted: true; readonly handshake: RelayHandshake; readonly standing: Standing }
  | Refusal

/** Reasons that only a change of config or software mends: asking again soon would be no use. */
const LONG_RETRY_MS = 5 * 60_000

/** Judges a hello by all that is cheap to see; what it claims is still to be proven, see `judgeProof`. */
export function judgeHello(hello: Hello, terms: AdmissionTerms): Verdict {
  if (hello.protocol !== RELAY_PROTOCOL) {
    return refuse('version', `version-unsupported: this relay speaks protocol ${RELAY_PROTOCOL}, not ${hello.protocol}`)
  }
  const notOurs = whyNotOurs(hello.relayName, terms.names, terms.local)
  if (notOurs !== undefined) return refuse('name', `relay-refused: ${notOurs}`)
  const standing = standingOf(hello, terms)
  if ('kind' in standing) return standing
  const handshake: RelayHandshake = {
    relayId: terms.relayId,
    relayName: hello.relayName,
    relayNonce: terms.relayNonce,
    agentId: hello.peer,
    agentNonce: hello.nonce,
  }
  return { admitted: true, handshake, standing }
}

function standingOf({ peer, membership }: Hello, terms: AdmissionTerms): Standing | Refusal {
  const { admit, networks } = terms
  const claim = membership && judgeClaim(peer, membership, networks)
  const chain = claim && 'chain' in claim ? claim.chain : undefined
  const known = chain && (admit === 'anyone' || admit.includes(chain.entry.network)) ? chain : undefined
  if (admit === 'anyone' || admit.includes(peer)) return { name: 'listed', membership: known }
  if (known) return { name: 'member', membership: known }
  if (networks.isGuest(peer)) return { name: 'guest' }
  if (claim && 'why' in claim) return refuse('membership', `not-authorized: no membership counts here: ${claim.why}`)
  // A device that knows that it was removed shows nothing.
  if (!claim && networks.wasRemoved(peer)) return refuse('membership', `not-authorized: ${WAS_REMOVED}`)
  // The owner has to be given the whole of it.
  const who = chain ? `the network ${chain.entry.network}` : shortPeerId(peer)
  return refuse('admission', `not-authorized: this relay does not admit ${who}; its owner has to add the id to admit`)
}

/** Undefined for a hello whose claims were admitted and whose signature holds; this is what costs. */
export function judgeProof(hello: Hello, handshake: RelayHandshake): Refusal | undefined {
  if (verifyBytes(hello.peer, agentProof(handshake), hello.signature)) return undefined
  return refuse('signature', 'relay-refused: the signature does not prove this peer id to this relay')
}

/** The standing that is left once it is known whether the membership in it is proven. */
export function provenStanding(standing: Standing, proven: boolean): Standing | Refusal {
  if (proven || standing.name === 'guest') return standing
  if (standing.name === 'listed') return { name: 'listed', membership: undefined }
  return refuse('membership', 'not-authorized: no membership counts here: its network has not signed it')
}

function refuse(kind: RefusalKind, reason: string): Refusal {
  return { admitted: false, kind, reason, retryAfterMs: LONG_RETRY_MS }
}

/** How long reconnecting agents spread themselves: 1 ms a line (a handshake costs a fraction of it), 0.3 to 20 s. */
export function reconnectWindowMs(lines: number): number {
  return Math.min(20_000, Math.max(300, lines))
}
