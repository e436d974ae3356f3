/** RFC 4648 base32, lower case and without padding. */
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'

/** True for a text that `base32Encode` makes: no other letters, no length that it never has, no stray bits at the end. */
export function isBase32(text: string): boolean {
  const spare = (text.length * 5) % 8
  if (spare >= 5 || !/^[a-z2-7]*$/.test(text)) return false
  // The bits beyond the last whole byte must be zero, else two texts would mean the same bytes.
  return (ALPHABET.indexOf(text.charAt(text.length - 1)) & ((1 << spare) - 1)) === 0
}

export function base32Encode(bytes: Uint8Array): string {
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

/** The bytes of a text that `isBase32`. */
export function base32Decode(text: string): Uint8Array {
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
