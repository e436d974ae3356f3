import { CulvertError } from '../errors.ts'
import { base32Decode, base32Encode, isBase32 } from './base32.ts'

/** An Ed25519 public key as 52 characters of lower-case RFC 4648 base32 without padding. */
export type PeerId = string & { readonly __brand: 'PeerId' }

export const PEER_ID_BYTES = 32
const PEER_ID_CHARS = 52

/** Writes a 32-byte public key as a peer id. Throws `wire-malformed` on any other length. */
export function peerIdFromBytes(key: Uint8Array): PeerId {
  if (key.length !== PEER_ID_BYTES) {
    throw new CulvertError('wire-malformed', `a peer id has ${PEER_ID_BYTES} bytes, not ${key.length}`)
  }
  return base32Encode(key) as PeerId
}

/** The 32 bytes of a peer id. */
export function peerIdToBytes(id: PeerId): Uint8Array {
  return base32Decode(id)
}

/** The peer id in a text, or undefined when it is none: wrong length, wrong letter, or stray bits in the last letter. */
export function parsePeerId(text: string): PeerId | undefined {
  return text.length === PEER_ID_CHARS && isBase32(text) ? (text as PeerId) : undefined
}

/** The first ten characters: enough for people, never for a decision. */
export function shortPeerId(id: PeerId): string {
  return id.slice(0, 10)
}
