import test from 'ava'
import { median, nextOrder, quotients, takeTurns } from '../../../bench/statistics.ts'

test('the median is the middle value, the higher of two, and no number for none', t => {
  t.is(median([3, 1, 2]), 2)
  t.is(median([1, 2]), 2)
  t.true(Number.isNaN(median([])))
})

test('quotients compare values of the same round', t => {
  t.deepEqual(quotients([1, 4], [2, 2]), [0.5, 2])
})

test('every round begins with another one', async t => {
  t.deepEqual(nextOrder(['a', 'b', 'c'], 4), ['b', 'c', 'a'])
  const order: string[] = []
  const note = (name: string) => async () => order.push(name)
  await takeTurns(2, { a: note('a'), b: note('b') })
  t.deepEqual(order, ['a', 'b', 'b', 'a'])
})
