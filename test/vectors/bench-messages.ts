import {
  type BenchRequest,
  type BenchResult,
  decodeBenchRequest,
  decodeBenchResult,
  encodeBenchRequest,
  encodeBenchResult,
} from '../../common/wire/bench-message.ts'

const UP: BenchRequest = { sender: 'opener', durationMs: 5_000, maxBytes: 0 }
const DOWN: BenchRequest = { sender: 'service', durationMs: 30_000, maxBytes: 0x800000 }
const RESULT: BenchResult = { bytes: 0x1234567890, ms: 4_999 }

/** Bytes that go over a stream of the built-in service, in hex. */
export const BENCH_MESSAGES = [
  {
    name: 'request: the opener sends',
    hex: '00 00001388 00000000',
    encode: () => encodeBenchRequest(UP),
    decode: decodeBenchRequest,
    message: UP,
  },
  {
    name: 'request: the service sends',
    hex: '01 00007530 00800000',
    encode: () => encodeBenchRequest(DOWN),
    decode: decodeBenchRequest,
    message: DOWN,
  },
  {
    name: 'result',
    hex: '0000001234567890 00001387',
    encode: () => encodeBenchResult(RESULT),
    decode: decodeBenchResult,
    message: RESULT,
  },
] as const
