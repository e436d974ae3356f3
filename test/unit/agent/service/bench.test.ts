import test from 'ava'
import { benchRequest } from '../../../../agent/service/bench.ts'
import { roundTrips } from '../../../../agent/service/round-trips.ts'

const wish = { direction: 'send', durationMs: 10_000, overRelay: false } as const

test('a measurement over a direct path is as long as was asked, and has no other limit', t => {
  t.deepEqual(benchRequest(wish, false), { sender: 'opener', durationMs: 10_000, maxBytes: 0 })
})

test('over a relay it is short, unless that was asked for', t => {
  const receive = { ...wish, direction: 'receive' } as const
  t.deepEqual(benchRequest(receive, true), { sender: 'service', durationMs: 2_000, maxBytes: 8 * 2 ** 20 })
  t.is(benchRequest({ ...wish, durationMs: 500 }, true).durationMs, 500)
  t.is(benchRequest({ ...wish, overRelay: true }, true).durationMs, 10_000)
})

test('sums up round trips with the median as one of them', t => {
  t.deepEqual(roundTrips([9, 1.234, 3, 5]), { min: 1.23, avg: 4.56, p50: 3, max: 9 })
  t.is(roundTrips([]), null)
})
