import type { SyncMessage } from '../../common/wire/sync-message.ts'

const id = (first: number) => String.fromCharCode(...Array.from({ length: 16 }, (_, i) => (first + i) & 0xff))
const hexOf = (text: string) => Buffer.from(text, 'latin1').toString('hex')
const counting = (length: number) => Uint8Array.from({ length }, (_, i) => i & 0xff)

/** Kind, set, length; then the payload. */
export const SYNC_MESSAGES: ReadonlyArray<{ readonly message: SyncMessage; readonly hex: string }> = [
  {
    message: { kind: 'digest', set: 1, digest: counting(16) },
    hex: '01 01 00000010 000102030405060708090a0b0c0d0e0f',
  },
  { message: { kind: 'same', set: 1 }, hex: '02 01 00000000' },
  {
    message: { kind: 'buckets', set: 2, buckets: counting(2048) },
    hex: `03 02 00000800 ${Buffer.from(counting(2048)).toString('hex')}`,
  },
  {
    message: { kind: 'ids', set: 1, bucket: 0xa0, ids: [id(0xa0), id(0xb0)] },
    hex: `04 01 00000021 a0 ${hexOf(id(0xa0))} ${hexOf(id(0xb0))}`,
  },
  { message: { kind: 'asked', set: 1 }, hex: '05 01 00000000' },
  {
    message: { kind: 'items', set: 1, items: [Uint8Array.of(1, 2, 3), Uint8Array.of(4)] },
    hex: '06 01 00000008 0003 010203 0001 04',
  },
  { message: { kind: 'want', set: 1, ids: [id(0xc0)] }, hex: `07 01 00000010 ${hexOf(id(0xc0))}` },
  { message: { kind: 'done', set: 1 }, hex: '08 01 00000000' },
]
