import test from 'ava'
import { CarryBudget } from '../../../../agent/service/carry-budget.ts'
import { FakeClock } from '../../fake-clock.ts'

const HOUR_MS = 3_600_000

test('two pipes that always have something to send share the rate, which holds within a hundredth', t => {
  const clock = new FakeClock()
  const budget = new CarryBudget(clock, () => ({ mbit: 8, gbPerDay: 5 }))
  const bytes: [number, number] = [0, 0]
  const turn = (pipe: 0 | 1, size: number) => {
    bytes[pipe] += size
    clock.after(budget.take(size) ?? 0, () => turn(pipe, size))
  }
  turn(0, 16_384)
  turn(1, 16_384)
  clock.advance(20_000)
  const [a, b] = bytes
  t.true(Math.abs((a + b) / 20e6 - 1) < 0.01, `${a + b} bytes in 20 s`)
  t.true(Math.abs(a / b - 1) < 0.01)
})

test('after a rest a twentieth of a second goes at once, and no more', t => {
  const clock = new FakeClock()
  const budget = new CarryBudget(clock, () => ({ mbit: 8, gbPerDay: 5 }))
  clock.advance(HOUR_MS)
  t.is(budget.take(50_000), 0)
  t.is(Math.round(budget.take(1_000) ?? -1), 1)
})

test('what was carried in 24 hours counts, hour by hour', t => {
  const clock = new FakeClock()
  const budget = new CarryBudget(clock, () => ({ mbit: 10_000, gbPerDay: 1 }))
  budget.take(0.6e9)
  clock.advance(12 * HOUR_MS)
  budget.take(0.5e9)
  t.true(budget.spent)
  t.is(budget.take(1), undefined)
  clock.advance(11 * HOUR_MS)
  t.is(budget.bytes, 1.1e9)
  clock.advance(HOUR_MS)
  t.is(budget.bytes, 0.5e9)
  t.false(budget.spent)
  clock.advance(1_000 * HOUR_MS)
  t.is(budget.bytes, 0)
})
