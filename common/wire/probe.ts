import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto'
import { ByteReader, ByteWriter } from './bytes.ts'
import type { Endpoint } from './endpoint.ts'
import { MAX_ENDPOINT_BYTES, readEndpoint, writeEndpoint } from './endpoint-bytes.ts'
import { PROBE_BYTE } from './udp-packet.ts'

/** What one of two peers sends the other to find a way through NATs; see PROTOCOL.md §6. */
export type ProbeMessage =
  /** Do you hear me? `aimedAt`: the port that it was sent to. */
  | { readonly kind: 'check'; readonly transaction: Uint8Array; readonly aimedAt: number }
  /** Yes, from there; `cookie` is what a nomination has to bring. */
  | { readonly kind: 'answer'; readonly transaction: Uint8Array; readonly cookie: Uint8Array; readonly seen: Endpoint }
  /** Let us take this pair: my UDX stream is this. `small`: packets of full size do not pass. */
  | {
      readonly kind: 'nominate'
      readonly transaction: Uint8Array
      readonly cookie: Uint8Array
      readonly stream: number
      readonly small: boolean
    }
  /** Mine is that, and connected to yours. */
  | { readonly kind: 'nominated'; readonly transaction: Uint8Array; readonly stream: number }

/** One direction between two peers. */
export interface ProbeKey {
  /** Tells the receiver whose probe it is, and nobody else. */
  readonly tag: Buffer
  readonly key: Buffer
}

export interface ProbeKeys {
  readonly send: ProbeKey
  readonly receive: ProbeKey
}

export const PROBE_SECRET_BYTES = 32
export const PROBE_ID_BYTES = 8
export const PROBE_NONCE_BYTES = 12
const TAG_BYTES = 8
const KEY_BYTES = 16
const SEAL_BYTES = 16
const HEADER_BYTES = 1 + TAG_BYTES + PROBE_NONCE_BYTES
const KINDS = [undefined, 'check', 'answer', 'nominate', 'nominated'] as const
const SMALL = 1
const CIPHER = 'aes-128-gcm'

/** The payload of a `secret` frame. */
export function decodeProbeSecret(payload: Uint8Array): Uint8Array {
  return new ByteReader(payload).bytes(PROBE_SECRET_BYTES)
}

/** Keys from the secret of a session; one side is the peer with the smaller id. */
export function probeKeys(secret: Uint8Array, side: 'smaller' | 'larger'): ProbeKeys {
  const made = Buffer.from(
    hkdfSync('sha256', secret, new Uint8Array(0), 'culvert/1 probes', 2 * (KEY_BYTES + TAG_BYTES)),
  )
  const direction = (at: number): ProbeKey => ({
    key: made.subarray(at, at + KEY_BYTES),
    tag: made.subarray(at + KEY_BYTES, at + KEY_BYTES + TAG_BYTES),
  })
  const [fromSmaller, fromLarger] = [direction(0), direction(KEY_BYTES + TAG_BYTES)]
  return side === 'smaller' ? { send: fromSmaller, receive: fromLarger } : { send: fromLarger, receive: fromSmaller }
}

/** The tag of a packet that may be a probe. */
export function probeTag(packet: Buffer): Buffer | undefined {
  if (packet[0] !== PROBE_BYTE || packet.length < HEADER_BYTES + SEAL_BYTES) return undefined
  return packet.subarray(1, 1 + TAG_BYTES)
}

/** Seals a message, filled up to `bytes` where it is shorter. */
export function sealProbe({ tag, key }: ProbeKey, nonce: Uint8Array, message: ProbeMessage, bytes = 0): Buffer {
  const plain = encode(message)
  const filled = Buffer.alloc(Math.max(plain.length, bytes - HEADER_BYTES - SEAL_BYTES))
  plain.copy(filled)
  const cipher = createCipheriv(CIPHER, key, nonce)
  const sealed = Buffer.concat([cipher.update(filled), cipher.final()])
  return Buffer.concat([Uint8Array.of(PROBE_BYTE), tag, nonce, sealed, cipher.getAuthTag()])
}

/** The message of a packet with our tag; undefined when it is forged, malformed, or of a kind that we do not know. */
export function openProbe({ key }: ProbeKey, packet: Buffer): ProbeMessage | undefined {
  if (packet.length < HEADER_BYTES + SEAL_BYTES) return undefined
  const end = packet.length - SEAL_BYTES
  try {
    const decipher = createDecipheriv(CIPHER, key, packet.subarray(1 + TAG_BYTES, HEADER_BYTES))
    decipher.setAuthTag(packet.subarray(end))
    return decodeProbe(Buffer.concat([decipher.update(packet.subarray(HEADER_BYTES, end)), decipher.final()]))
  } catch {
    // Anybody can send us packets, and none of them is worth a word.
    return undefined
  }
}

function encode(message: ProbeMessage): Buffer {
  const writer = new ByteWriter(1 + 2 * PROBE_ID_BYTES + MAX_ENDPOINT_BYTES)
  writer.u8(KINDS.indexOf(message.kind)).bytes(message.transaction)
  switch (message.kind) {
    case 'check':
      return writer.u16(message.aimedAt).finish()
    case 'answer':
      writeEndpoint(writer.bytes(message.cookie), message.seen)
      return writer.finish()
    case 'nominate':
      return writer
        .bytes(message.cookie)
        .u32(message.stream)
        .u8(message.small ? SMALL : 0)
        .finish()
    case 'nominated':
      return writer.u32(message.stream).finish()
    default:
      return message satisfies never
  }
}

/** Undefined for a kind that a newer peer knows and we do not; throws `wire-malformed`. */
export function decodeProbe(plain: Uint8Array): ProbeMessage | undefined {
  const reader = new ByteReader(plain)
  const kind = KINDS[reader.u8()]
  if (kind === undefined) return undefined
  const transaction = reader.bytes(PROBE_ID_BYTES)
  switch (kind) {
    case 'check':
      return { kind, transaction, aimedAt: reader.u16() }
    case 'answer':
      return { kind, transaction, cookie: reader.bytes(PROBE_ID_BYTES), seen: readEndpoint(reader) }
    case 'nominate': {
      const cookie = reader.bytes(PROBE_ID_BYTES)
      return { kind, transaction, cookie, stream: reader.u32(), small: (reader.u8() & SMALL) !== 0 }
    }
    case 'nominated':
      return { kind, transaction, stream: reader.u32() }
    default:
      return kind satisfies never
  }
}
