import { type CipherGCMTypes, createCipheriv, createDecipheriv } from 'node:crypto'
import { DATAGRAM_BYTE } from '../../common/wire/udp-packet.ts'
import { ReplayWindow } from './replay-window.ts'

/** RFC 8446 §7.5. The context is u8 direction and u32 epoch. */
const EXPORTER_LABEL = 'EXPORTER-culvert-datagrams'
const HEADER_BYTES = 7
const NONCE_BYTES = 12
const TAG_BYTES = 16
export const SEAL_BYTES = HEADER_BYTES + TAG_BYTES
/** Packets under one key; RFC 9001 §6.6 allows AES-GCM 2^23. */
const EPOCH_PACKETS = 2 ** 22
/** RFC 9001 §6.6: forged packets after which ChaCha20-Poly1305, the weaker one here, is not to be trusted any more. */
const MAX_FORGERIES = 2 ** 36

/** The TLS connection of the path, as far as sealing needs it. */
export interface KeySource {
  exportKeyingMaterial(length: number, label: string, context: Buffer): Buffer
  getCipher(): { readonly name: string }
}

interface Cipher {
  readonly name: CipherGCMTypes | 'chacha20-poly1305'
  readonly keyBytes: number
}

interface EpochKey {
  readonly epoch: number
  readonly key: Buffer
  readonly iv: Buffer
}

/**
 * Seals single packets beside a path's stream, with keys of the path's own TLS, one set for each direction: each packet
 * has its number in it, and is opened once, in any order.
 */
export class DatagramSeal {
  readonly #source: KeySource
  readonly #cipher: Cipher
  readonly #outDirection: 0 | 1
  readonly #window = new ReplayWindow()
  readonly #opening: EpochKey[] = []
  #sealing: EpochKey | undefined
  #next = 0
  #forgeries = 0

  /** `smaller`: our peer id is the smaller one of the two, as text. */
  constructor(source: KeySource, smaller: boolean) {
    this.#source = source
    this.#outDirection = smaller ? 0 : 1
    // What TLS found to be the faster one here is so for single packets too.
    this.#cipher = source.getCipher().name.includes('CHACHA')
      ? { name: 'chacha20-poly1305', keyBytes: 32 }
      : { name: 'aes-128-gcm', keyBytes: 16 }
  }

  seal(plain: Uint8Array): Buffer {
    const number = this.#next++
    const epoch = Math.floor(number / EPOCH_PACKETS)
    if (this.#sealing?.epoch !== epoch) this.#sealing = this.#derive(this.#outDirection, epoch)
    const { key, iv } = this.#sealing
    const packet = Buffer.allocUnsafe(SEAL_BYTES + plain.length)
    packet[0] = DATAGRAM_BYTE
    packet.writeUIntBE(number, 1, 6)
    const cipher = createCipheriv(this.#cipher.name as 'aes-128-gcm', key, nonce(iv, number), {
      authTagLength: TAG_BYTES,
    })
    cipher.setAAD(packet.subarray(0, HEADER_BYTES))
    cipher.update(plain).copy(packet, HEADER_BYTES)
    cipher.final()
    cipher.getAuthTag().copy(packet, HEADER_BYTES + plain.length)
    return packet
  }

  /** The plain bytes; undefined for what is forged, broken, old or came before. */
  open(packet: Buffer): Buffer | undefined {
    const length = packet.length - SEAL_BYTES
    if (length < 0 || packet[0] !== DATAGRAM_BYTE || this.#forgeries > MAX_FORGERIES) return undefined
    const number = packet.readUIntBE(1, 6)
    if (!this.#window.mayTake(number)) return undefined
    const keys = this.#openingKey(Math.floor(number / EPOCH_PACKETS))
    if (!keys) return undefined
    const decipher = createDecipheriv(this.#cipher.name as 'aes-128-gcm', keys.key, nonce(keys.iv, number), {
      authTagLength: TAG_BYTES,
    })
    decipher.setAAD(packet.subarray(0, HEADER_BYTES))
    decipher.setAuthTag(packet.subarray(HEADER_BYTES + length))
    const plain = decipher.update(packet.subarray(HEADER_BYTES, HEADER_BYTES + length))
    try {
      decipher.final()
    } catch {
      this.#forgeries++
      return undefined
    }
    this.#window.take(number)
    return plain
  }

  /** Only of epochs beside the present one: a forged number must not make us derive keys without end. */
  #openingKey(epoch: number): EpochKey | undefined {
    const present = Math.floor(Math.max(this.#window.highest, 0) / EPOCH_PACKETS)
    if (Math.abs(epoch - present) > 1) return undefined
    const known = this.#opening.find(keys => keys.epoch === epoch)
    if (known) return known
    const keys = this.#derive(this.#outDirection === 0 ? 1 : 0, epoch)
    this.#opening.push(keys)
    if (this.#opening.length > 3) this.#opening.shift()
    return keys
  }

  #derive(direction: 0 | 1, epoch: number): EpochKey {
    const context = Buffer.alloc(5)
    context.writeUInt8(direction, 0)
    context.writeUInt32BE(epoch, 1)
    const material = this.#source.exportKeyingMaterial(this.#cipher.keyBytes + NONCE_BYTES, EXPORTER_LABEL, context)
    return { epoch, key: material.subarray(0, this.#cipher.keyBytes), iv: material.subarray(this.#cipher.keyBytes) }
  }
}

/** RFC 8446 §5.3: the number, padded on the left, over the static part. */
function nonce(iv: Buffer, number: number): Buffer {
  const bytes = Buffer.from(iv)
  for (let i = 0, rest = number; i < 6; i++) {
    bytes[11 - i] = (bytes[11 - i] ?? 0) ^ (rest & 0xff)
    rest = Math.floor(rest / 256)
  }
  return bytes
}
