import { CulvertError } from '../errors.ts'
import { ByteReader, ByteWriter } from './bytes.ts'

/** The name of the built-in service; no service of a config can have it. */
export const SYNC_SERVICE = 'culvert:sync'

export const SYNC_HEAD_BYTES = 6
/** A longer message is refused before it is read. */
export const MAX_SYNC_PAYLOAD_BYTES = 64 * 1024
/** Names an item by its content: the first bytes of its SHA-256, one character for each. */
export const SYNC_ID_BYTES = 16
export const SET_DIGEST_BYTES = 16
export const BUCKETS = 256
export const BUCKET_DIGEST_BYTES = 8
export const MAX_IDS_PER_MESSAGE = 4_095
export const MAX_ITEM_BYTES = 4_096

/** What two peers say to each other to have the same items in a set. */
export type SyncMessage = { readonly set: number } & (
  | { readonly kind: 'digest'; readonly digest: Uint8Array }
  | { readonly kind: 'same' | 'asked' | 'done' }
  | { readonly kind: 'buckets'; readonly buckets: Uint8Array }
  | { readonly kind: 'ids'; readonly bucket: number; readonly ids: readonly string[] }
  | { readonly kind: 'want'; readonly ids: readonly string[] }
  | { readonly kind: 'items'; readonly items: readonly Uint8Array[] }
)

const KINDS = ['digest', 'same', 'buckets', 'ids', 'asked', 'items', 'want', 'done'] as const

/** Layout: kind u8 (1 to 8, in the order above), set u8, length of the payload u32, payload. */
export function encodeSync(message: SyncMessage): Buffer {
  const payload = payloadOf(message)
  return new ByteWriter(SYNC_HEAD_BYTES + payload.length)
    .u8(KINDS.indexOf(message.kind) + 1)
    .u8(message.set)
    .u32(payload.length)
    .bytes(payload)
    .finish()
}

/** How many bytes follow this head. */
export function syncPayloadBytes(head: Uint8Array): number {
  const reader = new ByteReader(head)
  reader.u16()
  const length = reader.u32()
  if (length <= MAX_SYNC_PAYLOAD_BYTES) return length
  throw new CulvertError('wire-malformed', `a message of ${length} bytes; at most ${MAX_SYNC_PAYLOAD_BYTES}`)
}

/** Reads a whole message; undefined for a kind that is not known. */
export function decodeSync(bytes: Uint8Array): SyncMessage | undefined {
  const reader = new ByteReader(bytes)
  const kind = KINDS[reader.u8() - 1]
  const set = reader.u8()
  const length = reader.u32()
  if (reader.left !== length) throw new CulvertError('wire-malformed', `${reader.left} bytes, and ${length} were said`)
  switch (kind) {
    case undefined:
      return undefined
    case 'digest':
      return { kind, set, digest: reader.bytes(SET_DIGEST_BYTES) }
    case 'buckets':
      return { kind, set, buckets: reader.bytes(BUCKETS * BUCKET_DIGEST_BYTES) }
    case 'ids':
      return { kind, set, bucket: reader.u8(), ids: readIds(reader) }
    case 'want':
      return { kind, set, ids: readIds(reader) }
    case 'items':
      return { kind, set, items: readItems(reader) }
    default:
      return { kind, set }
  }
}

function payloadOf(message: SyncMessage): Uint8Array {
  switch (message.kind) {
    case 'digest':
      return message.digest
    case 'buckets':
      return message.buckets
    case 'ids':
      return Buffer.concat([Uint8Array.of(message.bucket), idBytes(message.ids)])
    case 'want':
      return idBytes(message.ids)
    case 'items':
      return Buffer.concat(message.items.flatMap(item => [Uint8Array.of(item.length >> 8, item.length & 0xff), item]))
    default:
      return new Uint8Array(0)
  }
}

function idBytes(ids: readonly string[]): Uint8Array {
  return Buffer.from(ids.join(''), 'latin1')
}

function readIds(reader: ByteReader): readonly string[] {
  if (reader.left % SYNC_ID_BYTES !== 0) throw new CulvertError('wire-malformed', 'a part of an id')
  const all = Buffer.from(reader.bytes(reader.left)).toString('latin1')
  const count = all.length / SYNC_ID_BYTES
  return Array.from({ length: count }, (_, at) => all.slice(at * SYNC_ID_BYTES, (at + 1) * SYNC_ID_BYTES))
}

function readItems(reader: ByteReader): readonly Uint8Array[] {
  const items: Uint8Array[] = []
  while (reader.left > 0) {
    const length = reader.u16()
    if (length > MAX_ITEM_BYTES) throw new CulvertError('wire-malformed', `an item of ${length} bytes`)
    items.push(reader.bytes(length))
  }
  return items
}
