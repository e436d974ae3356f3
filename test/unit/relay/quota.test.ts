import test from 'ava'
import { isFresh, newAllowance, spend, verdictOf } from '../../../relay/allowance.ts'
import { fullBucket, KeyedBuckets, refill, take } from '../../../relay/quota.ts'

const limits = { perSecond: 10, burst: 20 }

test('a bucket gives its burst at once, then its rate', t => {
  let bucket = fullBucket(limits, 0)
  for (let i = 0; i < 20; i++) {
    const result = take(bucket, limits, 1, 0)
    t.true(result.taken)
    bucket = result.bucket
  }
  t.false(take(bucket, limits, 1, 99).taken)
  t.true(take(bucket, limits, 1, 100).taken)
})

test('a bucket never holds more than its burst, and a clock that goes back takes nothing away', t => {
  t.is(refill({ tokens: 3, filledAt: 0 }, limits, 1e9).tokens, 20)
  t.is(refill({ tokens: 3, filledAt: 500 }, limits, 0).tokens, 3)
})

test('keyed buckets are apart from each other, and the oldest is forgotten when the table is full', t => {
  const buckets = new KeyedBuckets(() => ({ perSecond: 0, burst: 1 }), 2)
  t.true(buckets.take('a', 1, 0))
  t.false(buckets.take('a', 1, 0))
  t.true(buckets.take('b', 1, 0))
  t.true(buckets.take('c', 1, 0))
  t.is(buckets.size, 2)
  t.false(buckets.take('b', 1, 0))
  t.true(buckets.take('a', 1, 0))
})

const traffic = { bytesPerSecond: 1_000, bytesPerDay: 5_000 }

test('an allowance may go into debt once, and then waits until it is paid', t => {
  let allowance = newAllowance(traffic, 0)
  t.is(verdictOf(allowance, traffic, 0), 'go')
  allowance = spend(allowance, traffic, 3_000, 0)
  t.is(verdictOf(allowance, traffic, 1_999), 'wait')
  t.is(verdictOf(allowance, traffic, 2_001), 'go')
})

test('an allowance is over for the day, and comes back with the next', t => {
  const used = spend(newAllowance(traffic, 0), traffic, 5_000, 0)
  t.is(verdictOf(used, traffic, 60_000), 'over')
  t.is(verdictOf(used, traffic, 86_400_000), 'go')
  t.false(isFresh(used, traffic, 60_000))
  t.true(isFresh(used, traffic, 86_400_000))
  t.is(spend(used, traffic, 7, 86_400_000).dayBytes, 7)
})

test('without limits an allowance always goes', t => {
  const none = { bytesPerSecond: null, bytesPerDay: null }
  t.is(verdictOf(spend(newAllowance(none, 0), none, 1e15, 0), none, 0), 'go')
})
