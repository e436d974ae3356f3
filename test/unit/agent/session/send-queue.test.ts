import test from 'ava'
import fc from 'fast-check'
import { type Batch, SendQueue } from '../../../../agent/session/send-queue.ts'
import { CulvertError } from '../../../../common/errors.ts'
import { collectGarbage } from '../../collect-garbage.ts'

/** The receiver of PROTOCOL.md §3.3: takes the next frame, skips earlier ones, and finds a gap malformed. */
class Receiver {
  readonly taken: number[] = []

  deliver(batch: Batch): void {
    for (let i = 0; i < batch.frames; i++) {
      const seq = batch.firstSeq + i
      if (seq > this.taken.length) throw new Error(`frame ${seq} came when ${this.taken.length} was due`)
      // The first byte of frame n of a batch is its sequence number, so contents are compared too.
      if (seq === this.taken.length) this.taken.push(batch.bytes.readUInt32BE(4 * i))
    }
  }
}

function push(queue: SendQueue, frames: number): Batch {
  const bytes = Buffer.alloc(4 * frames)
  for (let i = 0; i < frames; i++) bytes.writeUInt32BE(queue.nextSeq + i, 4 * i)
  return queue.push(bytes, frames, 0)
}

type Step =
  | { readonly do: 'push'; readonly frames: number }
  | { readonly do: 'write' }
  | { readonly do: 'arrive' }
  | { readonly do: 'ack' }
  | { readonly do: 'move' }

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('push' as const), frames: fc.integer({ min: 1, max: 5 }) }),
  { arbitrary: fc.record({ do: fc.constant('write' as const) }), weight: 2 },
  { arbitrary: fc.record({ do: fc.constant('arrive' as const) }), weight: 2 },
  fc.record({ do: fc.constant('ack' as const) }),
  fc.record({ do: fc.constant('move' as const) }),
)

test('however writes, arrivals, acknowledgements and moves interleave, each frame is taken once and in order', t => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), steps => {
      const queue = new SendQueue()
      const receiver = new Receiver()
      let cursor = 0
      /** Written on the present path and not there yet; lost when the path is left. */
      let underWay: Batch[] = []
      const write = () => {
        cursor = Math.max(cursor, queue.headOrdinal)
        const batch = queue.at(cursor)
        if (!batch) return false
        underWay.push(batch)
        cursor = batch.ordinal + 1
        return true
      }
      const arrive = () => {
        const batch = underWay.shift()
        if (batch) receiver.deliver(batch)
      }
      for (const { do: what, ...rest } of steps) {
        if (what === 'push') push(queue, 'frames' in rest ? rest.frames : 1)
        else if (what === 'write') write()
        else if (what === 'arrive') arrive()
        else if (what === 'ack') queue.acknowledge(receiver.taken.length)
        else {
          underWay = []
          cursor = queue.headOrdinal
        }
      }
      underWay = []
      cursor = queue.headOrdinal
      while (write()) arrive()
      t.deepEqual(
        receiver.taken,
        Array.from({ length: queue.nextSeq }, (_, i) => i),
      )
      queue.acknowledge(queue.nextSeq)
      t.is(queue.bytes, 0)
      t.is(queue.at(queue.headOrdinal), undefined)
    }),
    { seed: 1, numRuns: 500 },
  )
})

test('a batch is kept until its last frame is acknowledged', t => {
  const queue = new SendQueue()
  push(queue, 3)
  const second = push(queue, 2)
  queue.acknowledge(2)
  t.is(queue.bytes, 20)
  queue.acknowledge(3)
  t.is(queue.bytes, 8)
  t.is(queue.headOrdinal, second.ordinal)
  t.is(queue.at(0), undefined)
  t.is(queue.at(1), second)
  t.is(queue.at(2), undefined)
})

test('an acknowledgement of what was never sent is malformed; an old one is nothing', t => {
  const queue = new SendQueue()
  push(queue, 3)
  t.throws(() => queue.acknowledge(4), { instanceOf: CulvertError, code: 'wire-malformed' })
  queue.acknowledge(3)
  queue.acknowledge(1)
  t.is(queue.bytes, 0)
})

test('acknowledged batches are given back, and ordinals stay what they were', t => {
  const queue = new SendQueue()
  for (let i = 0; i < 1_000; i++) {
    const batch = push(queue, 1)
    t.is(batch.ordinal, i)
    if (i >= 10) queue.acknowledge(i - 9)
    t.is(queue.at(i), batch)
    t.is(queue.bytes, 4 * Math.min(i + 1, 10))
  }
})

test('what was acknowledged is held no longer', async t => {
  const queue = new SendQueue()
  const pushed = Array.from({ length: 60 }, () => new WeakRef(queue.push(Buffer.alloc(1_000), 8, 0).bytes))
  const held = async () => {
    await collectGarbage()
    return pushed.filter(bytes => bytes.deref() !== undefined).length
  }
  t.is(await held(), 60)
  queue.acknowledge(8 * 59)
  t.is(await held(), 1)
  queue.acknowledge(queue.nextSeq)
  t.is(await held(), 0)
  t.is(queue.bytes, 0)
})
