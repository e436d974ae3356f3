import { ByteReader, ByteWriter } from './bytes.ts'

/** The name of the built-in service; no service of a config can have it. */
export const BENCH_SERVICE = 'culvert:bench'

export const BENCH_REQUEST_BYTES = 9
export const BENCH_RESULT_BYTES = 12

/** What the opener of the stream asks for: who sends, for how long, and at most how many bytes. */
export interface BenchRequest {
  readonly sender: 'opener' | 'service'
  readonly durationMs: number
  readonly maxBytes: number
}

/** What came in, and the time from its first byte to its last. */
export interface BenchResult {
  readonly bytes: number
  readonly ms: number
}

/** Layout: sender u8 (0 the opener, anything else the service), duration u32 in ms, bytes u32, 0 for any number. */
export function encodeBenchRequest({ sender, durationMs, maxBytes }: BenchRequest): Buffer {
  return new ByteWriter(BENCH_REQUEST_BYTES)
    .u8(sender === 'opener' ? 0 : 1)
    .u32(durationMs)
    .u32(maxBytes)
    .finish()
}

export function decodeBenchRequest(bytes: Uint8Array): BenchRequest {
  const reader = new ByteReader(bytes)
  return { sender: reader.u8() === 0 ? 'opener' : 'service', durationMs: reader.u32(), maxBytes: reader.u32() }
}

/** Layout: bytes u64, ms u32. */
export function encodeBenchResult({ bytes, ms }: BenchResult): Buffer {
  return new ByteWriter(BENCH_RESULT_BYTES).u64(bytes).u32(Math.round(ms)).finish()
}

export function decodeBenchResult(bytes: Uint8Array): BenchResult {
  const reader = new ByteReader(bytes)
  return { bytes: reader.u64(), ms: reader.u32() }
}
