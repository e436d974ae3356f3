import test from 'ava'
import { BufferPool } from '../../../../common/platform/buffer-pool.ts'

test('a buffer that was given back is used again, whole, whatever part of it came back', t => {
  const pool = new BufferPool(100, 4)
  const first = pool.take()
  pool.giveBack(first.subarray(10, 20))
  const second = pool.take()
  t.is(second.buffer, first.buffer)
  t.is(second.length, 100)
})

test('a buffer that is in use is given to nobody else', t => {
  const pool = new BufferPool(100, 4)
  t.not(pool.take().buffer, pool.take().buffer)
})

test('a buffer that is given back twice is there once', t => {
  const pool = new BufferPool(100, 4)
  const buffer = pool.take()
  pool.giveBack(buffer)
  pool.giveBack(buffer)
  t.not(pool.take().buffer, pool.take().buffer)
})

test('buffers from elsewhere are not taken', t => {
  const pool = new BufferPool(100, 4)
  const foreign = [Buffer.alloc(100), new BufferPool(100, 4).take()]
  for (const buffer of foreign) pool.giveBack(buffer)
  const got = [pool.take(), pool.take()]
  for (const buffer of got) t.false(foreign.some(other => other.buffer === buffer.buffer))
})

test('no more are kept than the limit, and none after it was emptied', t => {
  const pool = new BufferPool(100, 2)
  const buffers = [pool.take(), pool.take(), pool.take()]
  for (const buffer of buffers) pool.giveBack(buffer)
  const known = new Set(buffers.map(({ buffer }) => buffer))
  const again = [pool.take(), pool.take(), pool.take()]
  t.is(again.filter(({ buffer }) => known.has(buffer)).length, 2)
  for (const buffer of again) pool.giveBack(buffer)
  pool.empty()
  t.false(again.some(({ buffer }) => buffer === pool.take().buffer))
})

test('a pool that is to keep less keeps at least one', t => {
  const pool = new BufferPool(100, 4)
  const buffers = [pool.take(), pool.take(), pool.take()]
  for (const buffer of buffers) pool.giveBack(buffer)
  pool.keepLess(0.01)
  const known = new Set(buffers.map(({ buffer }) => buffer))
  t.is([pool.take(), pool.take()].filter(({ buffer }) => known.has(buffer)).length, 1)
})
