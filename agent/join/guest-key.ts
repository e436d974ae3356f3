import { hkdfSync } from 'node:crypto'
import { type KeyPair, keyPairFromSeed, SEED_BYTES } from '../../common/platform/ed25519.ts'

const LAN_KEY_BYTES = 16

/**
 * The key pair that the secret of a join code makes (RFC 5869). Who was invited shows it where others show their identity,
 * so that to prove the secret takes nothing but the seal that every path has, and whoever watches sees a public key.
 */
export function guestOf(secret: Uint8Array): KeyPair {
  return keyPairFromSeed(derived(secret, 'culvert/1 guest', SEED_BYTES))
}

/** By this the two recognise each other on a network they are both on. The inviter keeps it, for it does not tell the secret. */
export function lanKeyOf(secret: Uint8Array): Uint8Array {
  return derived(secret, 'culvert/1 invite on the LAN', LAN_KEY_BYTES)
}

function derived(secret: Uint8Array, purpose: string, bytes: number): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, new Uint8Array(0), purpose, bytes))
}
