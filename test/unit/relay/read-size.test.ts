import test from 'ava'
import { afterRead, FIRST_READ_SIZE, MAX_READ_BYTES, MIN_READ_BYTES } from '../../../relay/read-size.ts'

const after = (lengths: readonly number[]) => lengths.reduce(afterRead, FIRST_READ_SIZE)
const times = (count: number, length: number) => Array.from({ length: count }, () => length)

test('a bulk transfer grows the buffer step by step to the largest', t => {
  t.is(after(times(3, MIN_READ_BYTES)).bytes, MIN_READ_BYTES)
  t.is(after(times(4, MIN_READ_BYTES)).bytes, 64 * 1024)
  t.is(after([...times(4, MIN_READ_BYTES), ...times(4, 64 * 1024)]).bytes, MAX_READ_BYTES)
  t.is(after(times(100, MAX_READ_BYTES)).bytes, MAX_READ_BYTES)
})

test('full reads with others between them do not grow it', t => {
  t.is(after([MIN_READ_BYTES, MIN_READ_BYTES, 5, MIN_READ_BYTES, MIN_READ_BYTES]).bytes, MIN_READ_BYTES)
})

test('a trickle gives the large buffer back; middling reads keep it', t => {
  const large = after(times(20, MAX_READ_BYTES))
  t.is(times(64, 100).reduce(afterRead, large), FIRST_READ_SIZE)
  t.is([...times(63, 100), 50_000, ...times(63, 100)].reduce(afterRead, large).bytes, MAX_READ_BYTES)
})
