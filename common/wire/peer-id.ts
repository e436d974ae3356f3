import { CulvertError } from '../errors.ts'

/** An Ed25519 public key as 52 characters of lower-case RFC 4648 base32 without padding. */
export type PeerId = string & { readonly __brand: 'PeerId' }

export const PEER_ID_BYTES = 32
const PEER_ID_CHARS = 52

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'

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
  if (text.length !== PEER_ID_CHARS || !/^[a-z2-7]{52}$/.test(text)) return undefined
  // 52 letters carry 260 bits: the last four must be zero, else two texts would name one key.
  const last = ALPHABET.indexOf(text.charAt(PEER_ID_CHARS - 1))
  return (last & 0b1111) === 0 ? (text as PeerId) : undefined
}

/** The first ten characters: enough for people, never for a decision. */
export function shortPeerId(id: PeerId): string {
  return id.slice(0, 10)
}

function base32Encode(bytes: Uint8Array): string {
  let text = ''
  let bits = 0
  let value = 0
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xfff
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += ALPHABET.charAt((value >> bits) & 31)
    }
  }
  return bits > 0 ? text + ALPHABET.charAt((value << (5 - bits)) & 31) : text
}

function base32Decode(text: string): Uint8Array {
  const bytes = new Uint8Array(Math.floor((text.length * 5) / 8))
  let bits = 0
  let value = 0
  let at = 0
  for (const letter of text) {
    value = ((value << 5) | ALPHABET.indexOf(letter)) & 0xfff
    bits += 5
    if (bits >= 8) {
      bits -= 8
      bytes[at++] = (value >> bits) & 0xff
    }
  }
  return bytes
}
