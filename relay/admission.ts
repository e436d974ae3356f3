import { verifyBytes } from '../common/platform/ed25519.ts'
import type { Endpoint } from '../common/wire/endpoint.ts'
import { type PeerId, shortPeerId } from '../common/wire/peer-id.ts'
import { type AgentMessage, RELAY_PROTOCOL } from '../common/wire/relay-message.ts'
import { agentProof, type RelayHandshake } from '../common/wire/relay-proof.ts'
import { type OwnNames, whyNotOurs } from './own-names.ts'

export type Hello = Extract<AgentMessage, { readonly type: 'hello' }>

/** Who may hold a line. */
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
}

/** Why a line was refused; the label of the refusal metric. */
export type RefusalKind =
  | 'version'
  | 'name'
  | 'signature'
  | 'admission'
  | 'handshake-rate'
  | 'same-identity'
  | 'message-rate'
  | 'malformed'

export type Verdict =
  | { readonly admitted: true; readonly handshake: RelayHandshake }
  | { readonly admitted: false; readonly kind: RefusalKind; readonly reason: string; readonly retryAfterMs: number }

/** Reasons that only a change of config or software mends: asking again soon would be no use. */
const LONG_RETRY_MS = 5 * 60_000

/** Judges a hello by all that is cheap to see; what it claims is still to be proven, see `judgeProof`. */
export function judgeHello(hello: Hello, terms: AdmissionTerms): Verdict {
  if (hello.protocol !== RELAY_PROTOCOL) {
    return refuse('version', `version-unsupported: this relay speaks protocol ${RELAY_PROTOCOL}, not ${hello.protocol}`)
  }
  const notOurs = whyNotOurs(hello.relayName, terms.names, terms.local)
  if (notOurs !== undefined) return refuse('name', `relay-refused: ${notOurs}`)
  if (terms.admit !== 'anyone' && !terms.admit.includes(hello.peer)) {
    const who = shortPeerId(hello.peer)
    return refuse('admission', `not-authorized: this relay does not admit ${who}; its owner has to add the id to admit`)
  }
  const handshake: RelayHandshake = {
    relayId: terms.relayId,
    relayName: hello.relayName,
    relayNonce: terms.relayNonce,
    agentId: hello.peer,
    agentNonce: hello.nonce,
  }
  return { admitted: true, handshake }
}

/** Judges the signature of a hello whose claims were admitted; this is what costs. */
export function judgeProof(hello: Hello, handshake: RelayHandshake): Verdict {
  if (!verifyBytes(hello.peer, agentProof(handshake), hello.signature)) {
    return refuse('signature', 'relay-refused: the signature does not prove this peer id to this relay')
  }
  return { admitted: true, handshake }
}

function refuse(kind: RefusalKind, reason: string): Verdict {
  return { admitted: false, kind, reason, retryAfterMs: LONG_RETRY_MS }
}

/** How long reconnecting agents spread themselves: 1 ms a line (a handshake costs a fraction of it), 0.3 to 20 s. */
export function reconnectWindowMs(lines: number): number {
  return Math.min(20_000, Math.max(300, lines))
}
