import { BufferPool } from '../../common/platform/buffer-pool.ts'
import { restCompilers } from '../../common/platform/engine.ts'
import { FRAME_HEADER_BYTES, MAX_FRAME_PAYLOAD } from '../../common/wire/session-frame.ts'

/** Eight full frames, so eight TLS records, per write: measured against 4 and 16. */
export const BATCH_BYTES = 8 * (FRAME_HEADER_BYTES + MAX_FRAME_PAYLOAD)

/** Of batches on their way to the peer; at 500 Mbit/s and 80 ms there are forty. The send queue gives them back. */
export const batchBuffers = new BufferPool(BATCH_BYTES, 64)

/** The most that one TLS record carries. */
export const RECORD_BYTES = 16_384

/** Of TLS records that came and hold a large payload. Who reads a stream may give its chunks back when done. */
export const recordBuffers = new BufferPool(RECORD_BYTES, 512)

/** Four full frames, about what libuv reads at once: no short frame is left over that would tear the next TLS records. */
export const LOCAL_BUFFER_BYTES = 4 * MAX_FRAME_PAYLOAD

/** Of what a local program sends into a stream, which gives back what it has copied into frames. */
export const localBuffers = new BufferPool(LOCAL_BUFFER_BYTES, 64)

/** What one local buffer makes in frames, and a header to spare: the batch of a single program that sends. */
const SHORT_BATCH_BYTES = LOCAL_BUFFER_BYTES + 5 * FRAME_HEADER_BYTES
const shortBatchBuffers = new BufferPool(SHORT_BATCH_BYTES, 32)

/** A message rather than a part of something large. */
export const SMALL_BYTES = 4096

/** A buffer for a batch of so many bytes, perhaps a larger one; never twice as large. */
export function takeBatchBuffer(bytes: number): Buffer {
  if (bytes > SHORT_BATCH_BYTES) return batchBuffers.take()
  if (bytes > SHORT_BATCH_BYTES / 2) return shortBatchBuffers.take()
  return bytes <= SMALL_BYTES ? Buffer.allocUnsafe(bytes) : Buffer.allocUnsafeSlow(bytes)
}

/** For who has the last use of a batch, or of a part of it. */
export function giveBackBatchBuffer(bytes: Buffer): void {
  batchBuffers.giveBack(bytes)
  shortBatchBuffers.giveBack(bytes)
}

const POOLS = [batchBuffers, shortBatchBuffers, recordBuffers, localBuffers]

/** For a machine with little memory. */
export function keepFewerBuffers(part: number): void {
  for (const pool of POOLS) pool.keepLess(part)
}

/** For a time when no stream is open. */
export function emptyBuffers(): void {
  for (const pool of POOLS) pool.empty()
  restCompilers()
}
