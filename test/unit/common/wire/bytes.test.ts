import test from 'ava'
import { CulvertError } from '../../../../common/errors.ts'
import { ByteReader, ByteWriter } from '../../../../common/wire/bytes.ts'

const malformed = { instanceOf: CulvertError, code: 'wire-malformed' } as const

test('fields come back in order, and none is left', t => {
  const written = new ByteWriter(64)
    .u8(255)
    .u16(65535)
    .u32(0xffffffff)
    .u64(2 ** 53 - 1)
    .text('día')
    .bytes(Buffer.of(1, 2))
  const reader = new ByteReader(written.finish())
  t.deepEqual([reader.u8(), reader.u16(), reader.u32(), reader.u64()], [255, 65535, 0xffffffff, 2 ** 53 - 1])
  t.is(reader.text(4), 'día')
  t.deepEqual(reader.bytes(2), Uint8Array.of(1, 2))
  t.is(reader.left, 0)
})

test('reading past the end is malformed, and says by how much', t => {
  for (const read of [
    (reader: ByteReader) => reader.u16(),
    (reader: ByteReader) => reader.u32(),
    (reader: ByteReader) => reader.u64(),
    (reader: ByteReader) => reader.bytes(2),
    (reader: ByteReader) => reader.text(10),
  ]) {
    t.throws(() => read(new ByteReader(Buffer.of(0))), { ...malformed, message: /bytes too early/ })
  }
})

test('a reader looks only at its own part of a larger buffer', t => {
  const reader = new ByteReader(Buffer.of(1, 2, 3, 4).subarray(1, 3))
  t.is(reader.u16(), 0x0203)
  t.throws(() => reader.u8(), malformed)
})

test('bytes that were read do not keep the packet', t => {
  const packet = Buffer.of(1, 2, 3)
  const bytes = new ByteReader(packet).bytes(3)
  packet.fill(0)
  t.deepEqual(bytes, Uint8Array.of(1, 2, 3))
})
