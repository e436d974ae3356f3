import { readFileSync } from 'node:fs'
import test from 'ava'
import fc from 'fast-check'
import { CulvertError } from '../../../../common/errors.ts'
import { plainText } from '../../../../common/wire/plain-text.ts'
import {
  decodeCredit,
  decodeHello,
  decodeIce,
  decodeOpen,
  decodeReset,
  encodeCount,
  encodeFrame,
  encodeHello,
  encodeIce,
  encodeOpen,
  encodeReset,
  FRAME,
  FRAME_HEADER_BYTES,
  type Frame,
  FrameParser,
  MAX_FRAME_PAYLOAD,
  SEQUENCED_BIT,
} from '../../../../common/wire/session-frame.ts'
import { fromHex } from '../../../vectors/keys.ts'
import { FRAMES } from '../../../vectors/session-frames.ts'
import { cutAtRandom, seededDraw } from '../../mutate.ts'

const malformed = { instanceOf: CulvertError, code: 'wire-malformed' } as const

function framesIn(bytes: Buffer): readonly Frame[] {
  const frames: Frame[] = []
  new FrameParser(frame => frames.push(frame)).push(bytes)
  return frames
}

function payloadOf(bytes: Buffer): Buffer {
  return bytes.subarray(FRAME_HEADER_BYTES)
}

for (const { name, hex, type, flags, stream, encode, decode, message } of FRAMES) {
  test(`${name}: is written as its vector, and read from it`, t => {
    t.deepEqual(encode(), fromHex(hex))
    const [frame, ...more] = framesIn(fromHex(hex))
    if (!frame) return t.fail('no frame')
    t.deepEqual(more, [])
    t.deepEqual([frame.type, frame.flags, frame.stream], [type, flags, stream])
    t.deepEqual(decode(frame), message)
  })
}

test('there is a vector for every frame type that we send', t => {
  const seen = new Set(FRAMES.map(({ type }) => type))
  t.deepEqual(
    Object.entries(FRAME).filter(([, type]) => !seen.has(type)),
    [],
  )
})

test('PROTOCOL.md has a row for every frame type, with its number and whether it is sequenced', t => {
  const rows = readFileSync(new URL('../../../../common/wire/PROTOCOL.md', import.meta.url), 'utf8')
    .replaceAll(/[ -]{2,}/g, ' ')
    .split('\n')
  for (const [name, type] of Object.entries(FRAME)) {
    const start = `| \`${type.toString(16).padStart(2, '0')}\` | ${name} | ${type & SEQUENCED_BIT ? 'yes ' : ''}|`
    t.true(
      rows.some(row => row.startsWith(start)),
      start,
    )
  }
})

test('the types that carry a sequence number are those with bit 0x40', t => {
  const sequenced = Object.entries(FRAME).flatMap(([name, type]) => (type & SEQUENCED_BIT ? [name] : []))
  t.deepEqual(sequenced, [
    'open',
    'accept',
    'data',
    'credit',
    'end',
    'reset',
    'candidates',
    'ice',
    'bye',
    'punch',
    'situation',
    'secret',
    'record',
  ])
})

test('whatever the pieces that they come in, frames come out whole and in order', t => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(255), fc.nat(255), fc.nat(0xffffffff), fc.nat(MAX_FRAME_PAYLOAD)), { maxLength: 6 }),
      fc.nat(),
      (heads, seed) => {
        const sent = heads.map(([type, flags, stream, length], i) => {
          // Big frames are rare, so that most pieces hold several.
          const payload = Buffer.alloc(i % 3 === 0 ? length : length % 40, i + 1)
          return { type, flags, stream, payload }
        })
        const bytes = Buffer.concat(
          sent.map(({ type, flags, stream, payload }) => encodeFrame(type, stream, payload, flags)),
        )
        const got: Frame[] = []
        // A payload may be a view into what came: it is copied as a user would.
        const parser = new FrameParser(frame => got.push({ ...frame, payload: Buffer.from(frame.payload) }))
        for (const piece of cutAtRandom(bytes, seededDraw(seed))) parser.push(piece)
        t.deepEqual(got, sent)
      },
    ),
    { seed: 1, numRuns: 200 },
  )
})

test('frames that come one byte at a time come out too', t => {
  const bytes = Buffer.concat(FRAMES.map(({ hex }) => fromHex(hex)))
  const got: number[] = []
  const parser = new FrameParser(frame => got.push(frame.type))
  for (const byte of bytes) parser.push(Buffer.of(byte))
  t.deepEqual(
    got,
    FRAMES.map(({ type }) => type),
  )
})

test('a frame that claims more than 16,376 bytes is malformed, and the largest is not', t => {
  const largest = encodeFrame(FRAME.data, 1, Buffer.alloc(MAX_FRAME_PAYLOAD))
  t.is(framesIn(largest)[0]?.payload.length, MAX_FRAME_PAYLOAD)
  const tooLong = Buffer.from(largest)
  tooLong.writeUInt16BE(MAX_FRAME_PAYLOAD + 1, 2)
  t.throws(() => framesIn(tooLong), malformed)
  t.throws(() => framesIn(tooLong.subarray(0, FRAME_HEADER_BYTES)), malformed)
  const parser = new FrameParser(() => undefined)
  parser.push(tooLong.subarray(0, 3))
  t.throws(() => parser.push(tooLong.subarray(3)), malformed)
  t.throws(() => encodeFrame(FRAME.data, 1, Buffer.alloc(MAX_FRAME_PAYLOAD + 1)), malformed)
})

test('bytes that a newer version adds to a hello are ignored', t => {
  const [vector] = FRAMES
  if (!vector) return t.fail()
  const longer = Buffer.concat([payloadOf(vector.encode()), Buffer.from('what comes later')])
  t.deepEqual(decodeHello(longer), vector.message)
})

test('a hello of a way that we do not know is read without it', t => {
  const payload = Buffer.from(payloadOf(fromHex(FRAMES[0]?.hex ?? '')))
  payload[payload.length - 1] = 200
  t.is(decodeHello(payload).how, undefined)
})

test('a hello with an epoch of zeros is malformed', t => {
  const hello = decodeHello(payloadOf(fromHex(FRAMES[0]?.hex ?? '')))
  const bad = payloadOf(encodeHello({ ...hello, epoch: new Uint8Array(8) }))
  t.throws(() => decodeHello(bad), malformed)
})

test('a count that no number holds exactly is malformed', t => {
  const payload = payloadOf(encodeCount(FRAME.ack, 0))
  payload.writeBigUInt64BE(2n ** 53n)
  t.throws(
    () => FRAMES.find(({ name }) => name === 'resume')?.decode({ type: 2, flags: 0, stream: 0, payload }),
    malformed,
  )
})

test('payloads that end too early are malformed', t => {
  for (const { name, hex, flags, type, decode } of FRAMES) {
    const payload = payloadOf(fromHex(hex))
    if (payload.length === 0 || ['data', 'datagram', 'part of a datagram'].includes(name)) continue
    if (type === FRAME.ping || type === FRAME.pong) continue
    for (let length = 0; length < payload.length; length++) {
      // The second endpoint need not be there.
      if (name === 'punch offer with a place between two NATs' && length === 7) continue
      t.throws(
        () => decode({ type, flags, stream: 0, payload: payload.subarray(0, length) }),
        malformed,
        `${name} ${length}`,
      )
    }
  }
})

test('a service name has at most 64 bytes of UTF-8, in both directions', t => {
  const longest = 'é'.repeat(32)
  t.is(decodeOpen(payloadOf(encodeOpen(1, longest))).service, longest)
  t.throws(() => encodeOpen(1, `${longest}x`), { instanceOf: CulvertError, code: 'service-unknown' })
  const claimed = Buffer.concat([Buffer.of(0, 65), Buffer.alloc(65, 'x')])
  t.throws(() => decodeOpen(claimed), malformed)
})

test('names that differ in bytes differ as text', t => {
  const plain = payloadOf(encodeOpen(1, 'ssh'))
  const marked = Buffer.concat([Buffer.of(0, 6, 0xef, 0xbb, 0xbf), plain.subarray(2)])
  t.not(decodeOpen(marked).service, 'ssh')
  t.throws(() => decodeOpen(Buffer.of(0, 2, 0xc3, 0x28)), malformed)
})

test('a reason of any length and script passes in one line, cut to 300 bytes', t => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 900 }), reason => {
      const { code, reason: got } = decodeReset(payloadOf(encodeReset(1, 'busy', reason)))
      t.is(code, 'busy')
      t.true(Buffer.byteLength(got) <= 300)
      if (Buffer.byteLength(reason) <= 300) t.is(got, plainText(reason.toWellFormed()))
      const failed = decodeIce({ ...frameOf(encodeIce(1, { kind: 'failed', reason })) })
      t.is(failed?.kind === 'failed' ? failed.reason : undefined, got)
    }),
    { seed: 2, numRuns: 300 },
  )
})

test('an ICE text that the peer would not take is not sent', t => {
  const sdp = 'v'.repeat(MAX_FRAME_PAYLOAD - 2)
  t.deepEqual(decodeIce(frameOf(encodeIce(9, { kind: 'offer', sdp }))), { kind: 'offer', sdp })
  t.throws(() => encodeIce(9, { kind: 'offer', sdp: `${sdp}v` }), malformed)
  t.throws(() => encodeIce(9, { kind: 'candidate', mid: '0', line: 'x'.repeat(1025) }), malformed)
  t.throws(() => encodeIce(9, { kind: 'candidate', mid: 'm'.repeat(65), line: '' }), malformed)
})

test('an ICE message of a kind that we do not know is passed over', t => {
  t.is(decodeIce({ type: FRAME.ice, flags: 4, stream: 1, payload: Buffer.alloc(0) }), undefined)
})

test('credit is a plain 32-bit count', t => {
  t.is(decodeCredit(Buffer.from('ffffffff', 'hex')), 0xffffffff)
})

function frameOf(bytes: Buffer): Frame {
  const [frame] = framesIn(bytes)
  if (!frame) throw new CulvertError('internal', 'no frame')
  return frame
}
