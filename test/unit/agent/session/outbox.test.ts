import test from 'ava'
import fc from 'fast-check'
import { KnownWindow } from '../../../../agent/session/known-window.ts'
import { Outbox } from '../../../../agent/session/outbox.ts'
import { SessionStream, type StreamHost } from '../../../../agent/session/stream.ts'
import { INITIAL_WINDOW_BYTES, WindowBudget } from '../../../../agent/session/window.ts'
import {
  encodeFrame,
  FRAME,
  type Frame,
  FrameParser,
  MAX_FRAME_PAYLOAD,
} from '../../../../common/wire/session-frame.ts'
import { FakeClock } from '../../fake-clock.ts'
import { type Draw, seededDraw } from '../../mutate.ts'

/** A session's sending side without the session: streams that put themselves into an outbox. */
function sender() {
  const outbox = new Outbox()
  const nothing = () => undefined
  const host: StreamHost = {
    clock: new FakeClock(),
    budget: new WindowBudget(0).share(),
    knownWindow: new KnownWindow(),
    lineRttMs: () => 0,
    wantsToSend: stream => outbox.ready(stream),
    sendCredit: nothing,
    sendAccept: nothing,
    sendReset: nothing,
    sendDatagram: nothing,
    dropDatagram: nothing,
    forget: nothing,
  }
  return { outbox, open: (id: number) => new SessionStream(id, 'test', host) }
}

/** Frames of the next batch, with a check of its own account of itself. */
function nextFrames(outbox: Outbox, hold = false): readonly Frame[] | undefined {
  const batch = outbox.next(hold)
  if (!batch) return undefined
  const frames: Frame[] = []
  new FrameParser(frame => frames.push(frame)).push(batch.bytes)
  const dataBytes = frames.reduce((sum, { type, payload }) => sum + (type === FRAME.data ? payload.length : 0), 0)
  if (frames.length !== batch.frames || dataBytes !== batch.dataBytes) throw new Error('the batch is not what it says')
  return frames
}

function allFrames(outbox: Outbox): readonly Frame[] {
  const all: Frame[] = []
  for (let frames = nextFrames(outbox); frames; frames = nextFrames(outbox)) all.push(...frames)
  return all
}

function patterned(length: number, draw: Draw): Buffer {
  const bytes = Buffer.alloc(length)
  for (let i = 0; i < length; i += 97) bytes[i] = draw(256)
  return bytes
}

test('every byte written comes out once, in order, and then the end; never beyond the credit', t => {
  const plan = fc.array(fc.array(fc.nat(90_000), { maxLength: 4 }), { minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(plan, fc.nat(), (sizes, seed) => {
      const draw = seededDraw(seed)
      const { outbox, open } = sender()
      const rows = sizes.map((writes, i) => {
        const stream = open(i + 1)
        const written = writes.map(size => patterned(size, draw))
        for (const chunk of written) stream.write(chunk)
        stream.end()
        return {
          stream,
          written: Buffer.concat(written),
          got: [] as Buffer[],
          allowed: INITIAL_WINDOW_BYTES,
          ended: false,
        }
      })
      for (let round = 0; round < 200; round++) {
        const frames = nextFrames(outbox)
        for (const { type, stream, payload } of frames ?? []) {
          const row = rows[stream - 1]
          if (!row) return t.fail('a frame of no stream')
          t.false(row.ended, 'after the end')
          if (type === FRAME.end) row.ended = true
          else row.got.push(payload)
          t.true(Buffer.concat(row.got).length <= row.allowed)
        }
        if (frames) continue
        const waiting = rows.filter(({ ended }) => !ended)
        if (waiting.length === 0) break
        for (const row of waiting) {
          const credit = 1 + draw(60_000)
          row.allowed += credit
          row.stream.receiveCredit(credit)
        }
      }
      for (const { got, written, ended } of rows) {
        t.true(ended)
        t.true(Buffer.concat(got).equals(written))
      }
      t.true(outbox.empty)
    }),
    { seed: 1, numRuns: 60 },
  )
})

test('of n streams that are ready all the time, each has one frame among any n', t => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.nat(MAX_FRAME_PAYLOAD), (count, extra) => {
      const { outbox, open } = sender()
      const streams = Array.from({ length: count }, (_, i) => open(i + 1))
      for (const [i, stream] of streams.entries()) {
        stream.receiveCredit(1 << 24)
        // Different lengths, so that batches do not end where a stream's turn does.
        stream.write(Buffer.alloc(200_000 + extra + i))
      }
      const order: number[] = []
      while (streams.every(stream => stream.sendableBytes > 0)) {
        order.push(...(nextFrames(outbox) ?? []).map(({ stream }) => stream))
      }
      // The last batch may hold frames of streams that ran dry in it.
      const sure = order.slice(0, -16)
      for (let at = 0; at + count <= sure.length; at++) {
        t.is(new Set(sure.slice(at, at + count)).size, count, `at ${at} of ${order.join(' ')}`)
      }
    }),
    { seed: 1, numRuns: 60 },
  )
})

test('a stream with a little to say waits for one round of the busy ones', t => {
  const { outbox, open } = sender()
  const busy = Array.from({ length: 12 }, (_, i) => open(i + 1))
  for (const stream of busy) {
    stream.receiveCredit(1 << 24)
    stream.write(Buffer.alloc(1 << 18))
  }
  nextFrames(outbox)
  const small = open(99)
  small.write('x')
  const order: number[] = []
  while (!order.includes(99)) order.push(...(nextFrames(outbox) ?? []).map(({ stream }) => stream))
  t.true(order.indexOf(99) <= busy.length, order.join(' '))
})

test('control frames go first, and in their order', t => {
  const { outbox, open } = sender()
  open(5).write('data')
  for (const id of [1, 2, 3]) outbox.control(encodeFrame(FRAME.accept, id))
  t.deepEqual(
    allFrames(outbox).map(({ type, stream }) => [type, stream]),
    [
      [FRAME.accept, 1],
      [FRAME.accept, 2],
      [FRAME.accept, 3],
      [FRAME.data, 5],
    ],
  )
})

test('while user bytes are held, control frames pass and nothing is lost', t => {
  const { outbox, open } = sender()
  const stream = open(1)
  stream.end('data')
  outbox.control(encodeFrame(FRAME.candidates, 0))
  t.deepEqual(
    nextFrames(outbox, true)?.map(({ type }) => type),
    [FRAME.candidates],
  )
  t.is(nextFrames(outbox, true), undefined)
  t.deepEqual(
    allFrames(outbox).map(({ type, payload }) => [type, payload.toString()]),
    [
      [FRAME.data, 'data'],
      [FRAME.end, ''],
    ],
  )
})

test('a stream that was reset has nothing more to say', t => {
  const { outbox, open } = sender()
  const stream = open(1)
  stream.write('data')
  outbox.remove(stream)
  t.is(outbox.next(false), undefined)
  stream.destroy()
})

test('a stream that ends without a byte sends just its end', t => {
  const { outbox, open } = sender()
  open(7).end()
  t.deepEqual(
    allFrames(outbox).map(({ type, stream }) => [type, stream]),
    [[FRAME.end, 7]],
  )
})

test('a batch holds no more than eight full frames', t => {
  const { outbox, open } = sender()
  const stream = open(1)
  stream.receiveCredit(1 << 24)
  stream.write(Buffer.alloc(1 << 20))
  t.is(outbox.next(false)?.bytes.length, 8 * 16_384)
  for (let i = 0; i < 100; i++) outbox.control(encodeFrame(FRAME.ice, 1, Buffer.alloc(MAX_FRAME_PAYLOAD)))
  t.is(outbox.next(false)?.frames, 8)
})

test('whoever finds a batch full is the first in the next', t => {
  const { outbox, open } = sender()
  for (let id = 1; id <= 12; id++) {
    const stream = open(id)
    stream.receiveCredit(1 << 24)
    // The eighth fills the batch with the last that it has.
    stream.write(Buffer.alloc(id === 8 ? MAX_FRAME_PAYLOAD : 200_000))
  }
  t.deepEqual(
    nextFrames(outbox)?.map(({ stream }) => stream),
    [1, 2, 3, 4, 5, 6, 7, 8],
  )
  t.deepEqual(
    nextFrames(outbox)?.map(({ stream }) => stream),
    [9, 10, 11, 12, 1, 2, 3, 4],
  )
})
