import test from 'ava'
import { ProbeBudget } from '../../../../agent/nat/probe-budget.ts'
import { FakeClock } from '../../fake-clock.ts'

const to = (port: number) => ({ address: '192.0.2.1', port })

test('packets leave at the rate, with a small burst after a pause', t => {
  const clock = new FakeClock()
  const budget = new ProbeBudget(clock, { entries: 1_000, packetsPerS: 100 })
  let sent = 0
  for (let ms = 0; ms < 2_000; ms++) {
    if (budget.take(1, to(7)) === 'send') sent++
    clock.advance(1)
  }
  t.true(sent >= 200 && sent <= 240, `${sent} in 2 s`)
  while (budget.take(1, to(7)) === 'send') sent++
  t.true(budget.waitMs > 0 && budget.waitMs <= 10)
  clock.advance(budget.waitMs)
  t.is(budget.waitMs, 0)
  t.is(budget.take(1, to(7)), 'send')
  t.is(budget.report.packets, sent + 1)
})

test('entries are counted by both ends and die 30 s after their last packet', t => {
  const clock = new FakeClock()
  const budget = new ProbeBudget(clock, { entries: 3, packetsPerS: 100 })
  t.deepEqual([budget.take(1, to(1)), budget.take(1, to(2)), budget.take(2, to(1))], ['send', 'send', 'send'])
  t.is(budget.take(2, to(2)), 'full')
  t.is(budget.take(1, to(1)), 'send', 'an entry that is there already costs nothing')
  clock.advance(29_000)
  t.is(budget.take(1, to(2)), 'send')
  clock.advance(1_000)
  t.is(budget.report.entries, 1)
  t.deepEqual([budget.take(2, to(2)), budget.take(3, to(3)), budget.take(4, to(4))], ['send', 'send', 'full'])
  t.deepEqual(budget.report, { entries: 3, peakEntries: 3, packets: 7, limit: 3 })
})
