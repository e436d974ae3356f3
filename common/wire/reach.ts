import { createHmac } from 'node:crypto'
import { type PeerId, peerIdToBytes } from './peer-id.ts'
import { REACH_BYTE } from './udp-packet.ts'

/**
 * How a relay finds out whether an agent's port is open to the outside. It sends a probe that only that agent expects, and
 * the agent answers with what only it and the relay can make. Both are the same over TCP and UDP; a datagram has one byte
 * before them.
 *
 *   probe    HMAC-SHA256, keyed by the peer id, of `culvert/1 reach` and the nonce (32)
 *   answer   first half of HMAC-SHA256, keyed by the peer id, of `culvert/1 reached` and the nonce (16)
 */
export const REACH_NONCE_BYTES = 16
export const REACH_PROBE_BYTES = 32
export const REACH_ANSWER_BYTES = 16

/** Nothing in it is of the asker's choice, or a relay could be made to say somebody's words to another program. */
export function reachProbe(peer: PeerId, nonce: Uint8Array): Uint8Array {
  return mac(peer, 'culvert/1 reach', nonce)
}

export function reachAnswer(peer: PeerId, nonce: Uint8Array): Uint8Array {
  return mac(peer, 'culvert/1 reached', nonce).subarray(0, REACH_ANSWER_BYTES)
}

export function reachDatagram(content: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(REACH_BYTE), content])
}

/** The probe or answer in a datagram; undefined when it is none. */
export function reachContent(datagram: Uint8Array): Uint8Array | undefined {
  return datagram[0] === REACH_BYTE ? datagram.subarray(1) : undefined
}

function mac(peer: PeerId, label: string, nonce: Uint8Array): Uint8Array {
  return createHmac('sha256', peerIdToBytes(peer)).update(label).update(nonce).digest()
}
