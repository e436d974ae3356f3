/**
 * What a datagram on our UDP port is, told by its first byte, as RFC 7983 does: STUN has 0 to 3, DTLS 20 to 63, UDX 255.
 * Ours are taken from 192 to 254, where none of the protocols named there begins.
 */
export const PROBE_BYTE = 0xc5
export const DATAGRAM_BYTE = 0xc6
export const REACH_BYTE = 0xc7

export type UdpPacketKind = 'stun' | 'probe' | 'datagram' | 'reach'

/** Undefined for what is none of ours; UDX takes its own packets before anybody asks. */
export function udpPacketKind(bytes: Uint8Array): UdpPacketKind | undefined {
  const [first] = bytes
  if (first === undefined) return undefined
  if (first <= 3) return 'stun'
  if (first === PROBE_BYTE) return 'probe'
  if (first === DATAGRAM_BYTE) return 'datagram'
  return first === REACH_BYTE ? 'reach' : undefined
}
