import test from 'ava'
import { ReceiveQueue, WINDOW } from '../../../../../agent/path/datachannel/receive-queue.ts'
import { MESSAGE_COST } from '../../../../../agent/path/datachannel/stream-control.ts'

test('nothing beyond the window is kept while nothing is read', t => {
  const queue = new ReceiveQueue()
  const message = Buffer.alloc(65536)
  let kept = 0
  while (queue.put(message)) kept += message.length
  t.true(kept <= WINDOW && kept > WINDOW - 2 * message.length)
  t.is(queue.grant(), undefined)
})

test('a flood of one-byte messages is bounded by their number', t => {
  const queue = new ReceiveQueue()
  let kept = 0
  while (queue.put(Buffer.alloc(1))) kept++
  t.is(kept, Math.floor(WINDOW / (1 + MESSAGE_COST)))
})

test('empty messages cost, too, and are never handed out', t => {
  const queue = new ReceiveQueue()
  for (let i = 0; i < 100; i++) t.true(queue.put(Buffer.alloc(0)))
  t.is(queue.take(1000), undefined)
  t.true(queue.put(Buffer.from('x')))
  t.is(queue.take(1000)?.toString(), 'x')
})

test('small messages come out joined and in order, large ones as they are', t => {
  const queue = new ReceiveQueue()
  for (const text of ['ab', 'c', 'defgh', 'i']) queue.put(Buffer.from(text))
  t.is(queue.take(4)?.toString(), 'abc')
  t.is(queue.take(4)?.toString(), 'defgh')
  t.is(queue.take(4)?.toString(), 'i')
  t.is(queue.take(4), undefined)
})

test('credit grows by what was taken, in steps, and never beyond one window', t => {
  const queue = new ReceiveQueue()
  let allowed = WINDOW
  let sent = 0
  for (let i = 0; i < 1000; i++) {
    const message = Buffer.alloc(16_000)
    t.true(sent + message.length + MESSAGE_COST <= allowed)
    t.true(queue.put(message))
    sent += message.length + MESSAGE_COST
    t.is(queue.take(65536)?.length, message.length)
    const total = queue.grant()
    if (total !== undefined) {
      t.is(total, sent + WINDOW)
      allowed = total
    }
  }
})

test('the end comes after all that was before it, and nothing after it is taken', t => {
  const queue = new ReceiveQueue()
  queue.put(Buffer.from('last'))
  queue.end()
  t.true(queue.ended)
  t.false(queue.finished)
  t.false(queue.put(Buffer.from('more')))
  queue.take(10)
  t.true(queue.finished)
})
