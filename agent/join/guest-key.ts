import { hkdfSync } from 'node:crypto'
import { type KeyPair, keyPairFromSeed, SEED_BYTES } from '../../common/platform/ed25519.ts'

/**
 * The key pair that the secret of a join code makes (RFC 5869). Who was invited shows it where others show their identity,
 * so that to prove the secret takes nothing but the seal that every path has, and whoever watches sees a public key.
 */
export function guestOf(secret: Uint8Array): KeyPair {
  const seed = hkdfSync('sha256', secret, new Uint8Array(0), 'culvert/1 guest', SEED_BYTES)
  return keyPairFromSeed(new Uint8Array(seed))
}
