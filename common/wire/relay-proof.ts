import { type PeerId, peerIdToBytes } from './peer-id.ts'

/** Bytes of the random challenges that relay and agent send each other. */
export const NONCE_BYTES = 32

/** What both proofs cover. The relay's id and name are in it, so that no relay can pass a proof on to another. */
export interface RelayHandshake {
  readonly relayId: PeerId
  /** The authority (`host:port`, port always given) of the URL that the agent dialled. */
  readonly relayName: string
  readonly relayNonce: Uint8Array
  readonly agentId: PeerId
  readonly agentNonce: Uint8Array
}

/** The bytes that the agent signs to prove its identity to a relay. */
export function agentProof(handshake: RelayHandshake): Uint8Array {
  return transcript('culvert/1 agent to relay', handshake)
}

/** The bytes that the relay signs to prove its own. */
export function relayProof(handshake: RelayHandshake): Uint8Array {
  return transcript('culvert/1 relay to agent', handshake)
}

/** Label and name carry their length, so that no two different handshakes give the same bytes. */
function transcript(label: string, handshake: RelayHandshake): Uint8Array {
  const name = Buffer.from(handshake.relayName, 'utf8')
  return Buffer.concat([
    Uint8Array.of(label.length),
    Buffer.from(label, 'latin1'),
    peerIdToBytes(handshake.relayId),
    Uint8Array.of(name.length >> 8, name.length & 0xff),
    name,
    handshake.relayNonce,
    peerIdToBytes(handshake.agentId),
    handshake.agentNonce,
  ])
}

/** The authority of a relay URL with its port always given; the form that proofs cover. */
export function relayNameOf(url: URL): string {
  const secure = url.protocol === 'https:' || url.protocol === 'wss:'
  return `${url.hostname.toLowerCase()}:${url.port === '' ? (secure ? 443 : 80) : url.port}`
}
