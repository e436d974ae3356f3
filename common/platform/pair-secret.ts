import { createHash, createPrivateKey, createPublicKey, diffieHellman } from 'node:crypto'
import { type PeerId, peerIdToBytes } from '../wire/peer-id.ts'
import type { KeyPair } from './ed25519.ts'

/** Fixed DER heads of RFC 8410: what stands before the 32 raw bytes of an X25519 key. */
const PKCS8_HEAD = Buffer.from('302e020100300506032b656e04220420', 'hex')
const SPKI_HEAD = Buffer.from('302a300506032b656e032100', 'hex')

/** The field of both curves (RFC 7748 §4.1). */
const P = 2n ** 255n - 19n

/**
 * What the holders of two identities know, and nobody else: X25519 between the same points of the other curve (RFC 7748
 * §4.1), as is common where a device has one key only. Undefined for an id that is no point of use.
 */
export function pairSecret(own: KeyPair, peer: PeerId): Uint8Array | undefined {
  const scalar = createHash('sha512').update(own.seed).digest().subarray(0, 32)
  try {
    const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, scalar]), format: 'der', type: 'pkcs8' })
    const key = Buffer.concat([SPKI_HEAD, montgomeryOf(peerIdToBytes(peer))])
    const publicKey = createPublicKey({ key, format: 'der', type: 'spki' })
    return new Uint8Array(diffieHellman({ privateKey, publicKey }))
  } catch {
    return undefined
  }
}

/** u = (1 + y) / (1 - y). */
function montgomeryOf(point: Uint8Array): Buffer {
  const y = littleEndian(point) & (2n ** 255n - 1n)
  const u = ((1n + y) * power(P + 1n - (y % P), P - 2n)) % P
  return Buffer.from(u.toString(16).padStart(64, '0'), 'hex').reverse()
}

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`)
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n
  let square = base % P
  for (let left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) result = (result * square) % P
    square = (square * square) % P
  }
  return result
}
