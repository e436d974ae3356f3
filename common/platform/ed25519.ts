import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto'
import { CulvertError } from '../errors.ts'
import { type PeerId, peerIdFromBytes, peerIdToBytes } from '../wire/peer-id.ts'

/** Fixed DER heads of RFC 8410: what stands before the 32 raw bytes of an Ed25519 key. */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex')
const SPKI_HEAD = Buffer.from('302a300506032b6570032100', 'hex')

export const SEED_BYTES = 32
export const SIGNATURE_BYTES = 64

/** An Ed25519 key pair with its public key as a peer id. */
export interface KeyPair {
  readonly id: PeerId
  readonly privateKey: KeyObject
  /** The 32 secret bytes that the pair is made of. */
  readonly seed: Uint8Array
}

export function generateKeyPair(): KeyPair {
  const { privateKey } = generateKeyPairSync('ed25519')
  return keyPairFromSeed(new Uint8Array(privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-SEED_BYTES)))
}

export function keyPairFromSeed(seed: Uint8Array): KeyPair {
  if (seed.length !== SEED_BYTES) {
    throw new CulvertError('identity-unreadable', `an Ed25519 key has ${SEED_BYTES} bytes, not ${seed.length}`)
  }
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, seed]), format: 'der', type: 'pkcs8' })
  const publicKey = createPublicKey(privateKey).export({ format: 'der', type: 'spki' })
  return { id: peerIdFromBytes(publicKey.subarray(-SEED_BYTES)), privateKey, seed }
}

export function publicKeyOf(id: PeerId): KeyObject {
  return createPublicKey({ key: Buffer.concat([SPKI_HEAD, peerIdToBytes(id)]), format: 'der', type: 'spki' })
}

/** The peer id in a public key, or undefined when it is not Ed25519. */
export function peerIdOfPublicKey(key: KeyObject): PeerId | undefined {
  if (key.asymmetricKeyType !== 'ed25519') return undefined
  const der = key.export({ format: 'der', type: 'spki' })
  return der.length === SPKI_HEAD.length + SEED_BYTES ? peerIdFromBytes(der.subarray(-SEED_BYTES)) : undefined
}

export function signBytes(key: KeyPair, message: Uint8Array): Uint8Array {
  return new Uint8Array(sign(null, message, key.privateKey))
}

/** True only for a valid signature; never throws, whatever the bytes. */
export function verifyBytes(id: PeerId, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== SIGNATURE_BYTES) return false
  try {
    return verify(null, message, publicKeyOf(id), signature)
  } catch {
    return false
  }
}

/** As `verifyBytes`, on another thread: many signatures do not hold up what else there is to do. */
export function verifySoon(key: KeyObject, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  if (signature.length !== SIGNATURE_BYTES) return Promise.resolve(false)
  return new Promise(resolve => verify(null, message, key, signature, (error, good) => resolve(!error && good)))
}
