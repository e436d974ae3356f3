import { CulvertError } from '../../common/errors.ts'
import { type KeyPair, signBytes, verifyBytes } from '../../common/platform/ed25519.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { type AgentMessage, RELAY_PROTOCOL, type RelayMessage } from '../../common/wire/relay-message.ts'
import { agentProof, relayNameOf, relayProof } from '../../common/wire/relay-proof.ts'

/** The longest a relay can keep us away by its word alone. */
const MAX_RETRY_AFTER_MS = 60_000

type Challenge = Extract<RelayMessage, { type: 'challenge' }>
export type Welcome = Extract<RelayMessage, { type: 'welcome' }>

export interface HandshakeTerms {
  readonly url: URL
  /** Who the relay has to be, where the config says it. */
  readonly relayId: PeerId | undefined
  readonly identity: KeyPair
  readonly agentNonce: Uint8Array
  readonly software: string
  readonly instance: Uint8Array
  /** The chain that proves it. */
  readonly membership?: Uint8Array | undefined
}

/**
 *   expecting ──challenge──▶ challenged ──welcome──▶ welcomed
 *
 * Refused may an agent be in each of them.
 */
export type HandshakeState =
  | { readonly name: 'expecting' }
  | { readonly name: 'challenged'; readonly challenge: Challenge }
  | { readonly name: 'welcomed'; readonly welcome: Welcome }

export interface HandshakeStep {
  readonly state: HandshakeState
  readonly say?: AgentMessage
  readonly refusal?: { readonly error: CulvertError; readonly retryAfterMs: number }
}

/** What a message of the relay means. Throws `relay-impersonated` when it is another relay than it has to be. */
export function advanceHandshake(terms: HandshakeTerms, state: HandshakeState, message: RelayMessage): HandshakeStep {
  const { host } = terms.url
  if (message.type === 'refused') {
    const error = new CulvertError('relay-refused', `relay ${host} refuses us: ${message.reason}`)
    return { state, refusal: { error, retryAfterMs: Math.min(message.retryAfterMs, MAX_RETRY_AFTER_MS) } }
  }
  if (state.name === 'expecting' && message.type === 'challenge') {
    if (terms.relayId !== undefined && message.relay !== terms.relayId) {
      const text = `relay ${host} says it is ${message.relay}, not the id in the config`
      throw new CulvertError('relay-impersonated', text)
    }
    return { state: { name: 'challenged', challenge: message }, say: helloTo(message, terms) }
  }
  if (state.name === 'challenged' && message.type === 'welcome') {
    const { challenge } = state
    if (!verifyBytes(challenge.relay, relayProof(transcript(challenge, terms)), message.signature)) {
      throw new CulvertError('relay-impersonated', `relay ${host} could not prove its id`)
    }
    return { state: { name: 'welcomed', welcome: message } }
  }
  return { state }
}

function helloTo(challenge: Challenge, terms: HandshakeTerms): AgentMessage {
  const { identity, agentNonce, software, instance, membership } = terms
  const handshake = transcript(challenge, terms)
  return {
    type: 'hello',
    protocol: RELAY_PROTOCOL,
    peer: identity.id,
    nonce: agentNonce,
    relayName: handshake.relayName,
    signature: signBytes(identity, agentProof(handshake)),
    software,
    instance,
    ...(membership ? { membership } : {}),
  }
}

function transcript({ relay, nonce }: Challenge, { url, identity, agentNonce }: HandshakeTerms) {
  return { relayId: relay, relayName: relayNameOf(url), relayNonce: nonce, agentId: identity.id, agentNonce }
}
