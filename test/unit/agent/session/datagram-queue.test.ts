import test from 'ava'
import { DatagramQueue, MAX_QUEUED_BYTES } from '../../../../agent/session/datagram-queue.ts'
import { decodeDatagram } from '../../../../common/wire/datagram.ts'
import { FrameParser } from '../../../../common/wire/session-frame.ts'

/** The flow and the first byte of each whole datagram of the next write, and the write's size. */
function next(queue: DatagramQueue, now = 0, held = false) {
  const write = queue.next(now, held)
  if (!write) return undefined
  const datagrams: string[] = []
  new FrameParser(frame => {
    const whole = decodeDatagram(frame)
    if (Buffer.isBuffer(whole)) datagrams.push(`${frame.stream}:${whole[0]}`)
  }).push(write.frames)
  return { datagrams, bytes: write.frames.length, count: write.datagrams }
}

test('flows take turns, each keeps its order', t => {
  const queue = new DatagramQueue()
  for (const first of [1, 2, 3]) queue.push(5, Buffer.of(first), 0)
  queue.push(7, Buffer.of(9), 0)
  t.deepEqual(next(queue)?.datagrams, ['5:1', '7:9', '5:2', '5:3'])
  t.is(next(queue), undefined)
  t.is(queue.cost, 0)
})

test('a flood holds no more than the limit and drops its own oldest, not those of a quiet flow', t => {
  const queue = new DatagramQueue()
  queue.push(7, Buffer.of(42), 0)
  for (let i = 0; i < 5_000; i++) {
    queue.push(5, Buffer.alloc(1_200, i), 0)
    if (queue.cost > MAX_QUEUED_BYTES) return t.fail(`${queue.cost} bytes`)
  }
  t.true(queue.dropped > 4_700)
  const first = next(queue)
  t.true(first?.datagrams.includes('7:42'))
  t.true((first?.bytes ?? 0) <= 64 * 1024, `${first?.bytes} bytes in one write`)
  let last = first
  for (let more = first; more; more = next(queue)) last = more
  t.is(last?.datagrams.at(-1), `5:${4_999 % 256}`)
})

test('empty datagrams are bounded too', t => {
  const queue = new DatagramQueue()
  for (let i = 0; i < 10_000; i++) queue.push(5, Buffer.alloc(0), 0)
  t.true(queue.cost <= MAX_QUEUED_BYTES)
  t.true(queue.dropped > 7_000)
})

test('what waited for a quarter of a second is dropped; what is held for a direct path, after two seconds', t => {
  const queue = new DatagramQueue()
  queue.push(5, Buffer.of(1), 0)
  queue.push(5, Buffer.of(2), 200)
  t.deepEqual(next(queue, 300)?.datagrams, ['5:2'])
  t.is(queue.dropped, 1)
  queue.push(5, Buffer.of(3), 1_000)
  t.is(next(queue, 2_900, true), undefined)
  t.is(queue.dropped, 1)
  t.is(next(queue, 3_001, true), undefined)
  t.is(queue.dropped, 2)
  t.true(queue.empty)
})

test('the largest datagram goes in one write, whole', t => {
  const queue = new DatagramQueue()
  queue.push(5, Buffer.alloc(65_527), 0)
  queue.push(7, Buffer.of(1), 0)
  t.is(next(queue)?.count, 1)
  t.deepEqual(next(queue)?.datagrams, ['7:1'])
})

test('a flow that ends takes its datagrams with it', t => {
  const queue = new DatagramQueue()
  queue.push(5, Buffer.alloc(100), 0)
  queue.push(7, Buffer.of(1), 0)
  queue.forget(5)
  t.deepEqual(next(queue)?.datagrams, ['7:1'])
  t.is(queue.cost, 0)
})

test('what was held goes when the hold ends, and is dropped when the path then takes nothing', t => {
  const queue = new DatagramQueue()
  queue.push(5, Buffer.of(1), 0)
  t.is(next(queue, 10, true), undefined)
  t.deepEqual(next(queue, 1_700)?.datagrams, ['5:1'])
  queue.push(5, Buffer.of(2), 1_700)
  t.is(next(queue, 1_700, true), undefined)
  queue.push(7, Buffer.of(3), 3_000)
  t.deepEqual(next(queue, 3_000)?.datagrams, ['5:2', '7:3'])
  queue.push(5, Buffer.of(4), 3_000)
  t.is(next(queue, 3_251), undefined)
  t.is(queue.dropped, 1)
})
