import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto'
import { type KeyPair, keyPairFromSeed } from '../../../common/platform/ed25519.ts'
import type { Random } from '../../../common/platform/random.ts'
import { ByteWriter } from '../../../common/wire/bytes.ts'
import { type PeerId, peerIdToBytes } from '../../../common/wire/peer-id.ts'

/** BEP 44 takes values under 1,000 bytes, bencoded. */
export const MAX_VALUE_BYTES = 990
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** Sizes are no name, either. */
const PADDED_TO = 128
const EPOCH_MS = 24 * 3_600_000
const AEAD = 'chacha20-poly1305'

/** Where the record of one peer is kept for those who know a secret, and what it is sealed with, for a day. */
export interface DhtItem {
  /** Of the mutable item (BEP 44); anybody who knows the secret has it. */
  readonly key: KeyPair
  readonly sealKey: Uint8Array
}

/** Days since 1970: a place that stays would let who watches the DHT follow a device from address to address. */
export function epochAt(wallNow: number): number {
  return Math.floor(wallNow / EPOCH_MS)
}

export function dhtItem(secret: Uint8Array, peer: PeerId, epoch: number): DhtItem {
  const info = new ByteWriter(64)
    .bytes(Buffer.from('culvert/1 dht item'))
    .bytes(peerIdToBytes(peer))
    .u32(epoch)
    .finish()
  const bytes = new Uint8Array(hkdfSync('sha256', secret, new Uint8Array(0), info, 64))
  return { key: keyPairFromSeed(bytes.subarray(0, 32)), sealKey: bytes.subarray(32) }
}

/** Nonce (12), then by ChaCha20-Poly1305 a u16 length, the record, zeros to a multiple of 128. Undefined when it is too long. */
export function sealRecord({ key, sealKey }: DhtItem, record: Uint8Array, random: Random): Buffer | undefined {
  const inside = Math.ceil((2 + record.length) / PADDED_TO) * PADDED_TO
  const fits = Math.min(inside, MAX_VALUE_BYTES - NONCE_BYTES - TAG_BYTES)
  if (2 + record.length > fits) return undefined
  const plain = Buffer.alloc(fits)
  plain.writeUInt16BE(record.length, 0)
  plain.set(record, 2)
  const nonce = random.bytes(NONCE_BYTES)
  const cipher = createCipheriv(AEAD, sealKey, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(peerIdToBytes(key.id), { plaintextLength: plain.length })
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

/** The record in a value of the DHT; undefined for what was not sealed so. Never throws. */
export function openSealed({ key, sealKey }: DhtItem, value: Uint8Array): Uint8Array | undefined {
  if (value.length > MAX_VALUE_BYTES || value.length < NONCE_BYTES + 2 + TAG_BYTES) return undefined
  const nonce = value.subarray(0, NONCE_BYTES)
  const sealed = value.subarray(NONCE_BYTES, -TAG_BYTES)
  const decipher = createDecipheriv(AEAD, sealKey, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(peerIdToBytes(key.id), { plaintextLength: sealed.length })
  decipher.setAuthTag(value.subarray(-TAG_BYTES))
  try {
    const plain = Buffer.concat([decipher.update(sealed), decipher.final()])
    const length = plain.readUInt16BE(0)
    return length <= plain.length - 2 ? new Uint8Array(plain.subarray(2, 2 + length)) : undefined
  } catch {
    return undefined
  }
}
