import test from 'ava'
import fc from 'fast-check'
import { CulvertError } from '../../../../common/errors.ts'
import { decodeDatagram, MAX_DATAGRAM_BYTES, writeDatagram } from '../../../../common/wire/datagram.ts'
import { FRAME, type Frame, FrameParser } from '../../../../common/wire/session-frame.ts'
import { datagramFrames } from '../../../vectors/session-frames.ts'

const malformed = { instanceOf: CulvertError, code: 'wire-malformed' } as const

function framesIn(bytes: Buffer): readonly Frame[] {
  const frames: Frame[] = []
  new FrameParser(frame => frames.push(frame)).push(bytes)
  return frames
}

function part(payload: readonly number[]): Frame {
  return { type: FRAME.datagram, flags: 1, stream: 1, payload: Buffer.from(payload) }
}

test('whatever its size and the size of frames, a datagram is in its parts once, in order, and no frame is too long', t => {
  const size = fc.oneof(fc.nat(MAX_DATAGRAM_BYTES), fc.nat(3_000), fc.constantFrom(0, 1, 1_420, 4_096, 65_507))
  fc.assert(
    fc.property(size, fc.integer({ min: 600, max: 16_384 }), (length, frameBytes) => {
      const datagram = Buffer.alloc(length, 'abcdefghijklm')
      const frames = framesIn(datagramFrames(9, 70_000, datagram, frameBytes))
      t.true(frames.every(({ payload, stream }) => payload.length + 8 <= frameBytes && stream === 9))
      const parts = frames.map(decodeDatagram)
      const [only] = parts
      if (Buffer.isBuffer(only)) {
        t.is(parts.length, 1)
        t.deepEqual(only, datagram)
        return
      }
      const bytes = parts.map((decoded, i) => {
        if (Buffer.isBuffer(decoded)) throw new Error('whole and in parts at once')
        t.deepEqual([decoded.message, decoded.index, decoded.count], [70_000 - 65_536, i, frames.length])
        return decoded.bytes
      })
      t.deepEqual(Buffer.concat(bytes), datagram)
    }),
    { seed: 1, numRuns: 300 },
  )
})

test('a datagram beyond what UDP carries, or beyond 255 parts, is refused', t => {
  const into = Buffer.alloc(200_000)
  t.throws(() => writeDatagram(into, 0, 1, 1, Buffer.alloc(MAX_DATAGRAM_BYTES + 1)), malformed)
  t.throws(() => writeDatagram(into, 0, 1, 1, Buffer.alloc(60_000), 100), malformed)
})

test('parts that cannot be are malformed: empty, one of one, beyond the last', t => {
  for (const payload of [[], [0, 1, 0, 2], [0, 1, 0, 1, 7], [0, 1, 2, 2, 7], [0, 1, 0, 0, 7]]) {
    t.throws(() => decodeDatagram(part(payload)), malformed, String(payload))
  }
  t.deepEqual(decodeDatagram(part([0, 1, 254, 255, 7])), { message: 1, index: 254, count: 255, bytes: Buffer.of(7) })
})
