import { hkdfSync } from 'node:crypto'
import type { KeyPair } from '../../common/platform/ed25519.ts'

const SECRET_BYTES = 32

/**
 * A secret for one purpose (RFC 5869): the same for as long as the identity is, without a file of its own, and it tells
 * nothing about the key or other purposes' secrets.
 */
export function deriveSecret(identity: KeyPair, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', identity.seed, new Uint8Array(0), `culvert/1 ${purpose}`, SECRET_BYTES))
}
