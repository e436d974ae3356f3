import test from 'ava'
import fc from 'fast-check'
import {
  BASE_WINDOW_BYTES,
  creditDue,
  granted,
  grown,
  growthWanted,
  INITIAL_WINDOW_BYTES,
  initialWindow,
  MAX_WINDOW_BYTES,
  marked,
  neededWindow,
  type Window,
  WindowBudget,
} from '../../../../agent/session/window.ts'

const growth = (window: Window, consumed: number, rttMs: number, now: number) =>
  growthWanted(window, neededWindow(window, consumed, rttMs, now))

test('what was granted is never more than what was consumed and one window, and a full reader is never starved', t => {
  const steps = fc.array(fc.record({ take: fc.nat(300_000), rttMs: fc.nat(500), waitMs: fc.nat(2_000) }), {
    maxLength: 60,
  })
  fc.assert(
    fc.property(steps, fc.nat(32 << 20), (all, limit) => {
      const budget = new WindowBudget(limit)
      let window = initialWindow(0)
      let consumed = 0
      let now = 0
      for (const { take, rttMs, waitMs } of all) {
        // The peer can have sent no more than it was allowed.
        consumed = Math.min(consumed + take, window.grantedBytes)
        now += waitMs
        const before = window
        const wanted = growthWanted(window, neededWindow(window, consumed, rttMs, now))
        window = marked(grown(window, budget.take(wanted)), consumed, now)
        window = granted(window, creditDue(window, consumed))
        t.true(window.grantedBytes <= consumed + window.sizeBytes)
        t.true(window.grantedBytes - consumed >= Math.max((window.sizeBytes * 3) / 4, window.sizeBytes - (1 << 20)))
        t.true(window.sizeBytes >= before.sizeBytes && window.sizeBytes <= MAX_WINDOW_BYTES)
        t.true(budget.takenBytes <= limit)
      }
      t.is(window.sizeBytes, INITIAL_WINDOW_BYTES + budget.takenBytes)
    }),
    { seed: 1, numRuns: 300 },
  )
})

test('small amounts are saved up to a quarter of a window, a megabyte at most', t => {
  const window = initialWindow(0)
  t.is(creditDue(window, 0), 0)
  t.is(creditDue(window, INITIAL_WINDOW_BYTES / 4 - 1), 0)
  t.is(creditDue(window, INITIAL_WINDOW_BYTES / 4), INITIAL_WINDOW_BYTES / 4)
  const large = { ...window, sizeBytes: MAX_WINDOW_BYTES, grantedBytes: MAX_WINDOW_BYTES }
  t.is(creditDue(large, (1 << 20) - 1), 0)
  t.is(creditDue(large, 1 << 20), 1 << 20)
})

test('a window half used up takes what flows in four round trips, four times its size at most', t => {
  const window = grown(initialWindow(0), BASE_WINDOW_BYTES - INITIAL_WINDOW_BYTES)
  const half = BASE_WINDOW_BYTES / 2
  t.is(growth(window, half, 20, 10), 3 * BASE_WINDOW_BYTES)
  t.is(growth(window, half, 20, 22.5), BASE_WINDOW_BYTES)
  t.is(growth(window, half, 20, 45), 0)
  t.is(growth(window, half, 20, 1_000), 0)
  t.is(growth(window, half - 1, 20, 10), 0)
})

test('on a long line a window takes what 50 Mbit/s need as soon as half of it was used up swiftly', t => {
  const window = grown(initialWindow(0), BASE_WINDOW_BYTES - INITIAL_WINDOW_BYTES)
  const half = BASE_WINDOW_BYTES / 2
  // Five round trips of slow start: what has come so far would not let the window grow.
  t.is(growth(window, half, 80, 400), 500_000 - BASE_WINDOW_BYTES)
  t.is(growth(window, half, 600, 3_000), 3 * BASE_WINDOW_BYTES)
  t.is(growth(grown(window, 3 * BASE_WINDOW_BYTES), 2 * BASE_WINDOW_BYTES, 600, 4_000), 4 * BASE_WINDOW_BYTES)
  t.is(growth(window, half, 600, 9_600), 0)
})

test('no window grows past 8 MiB, on a line of 82 ms or more past 16 MiB', t => {
  for (const [rttMs, most] of [
    [1, 8 << 20],
    [40, 8 << 20],
    [60, 60 * 200 * 1024],
    [90, 16 << 20],
    [600, 16 << 20],
  ] as const) {
    const almost = grown(initialWindow(0), most - INITIAL_WINDOW_BYTES - 1000)
    t.is(growth(almost, MAX_WINDOW_BYTES, rttMs, 0), 1000)
    t.is(growth(grown(almost, 1000), MAX_WINDOW_BYTES * 2, rttMs, 0), 0)
  }
})

test('the budget gives what it has, and takes back', t => {
  const budget = new WindowBudget(100)
  t.is(budget.take(60), 60)
  t.is(budget.take(60), 40)
  t.is(budget.take(1), 0)
  budget.give(70)
  t.is(budget.take(100), 70)
  t.is(budget.takenBytes, 100)
})

test('what a stream begins with beyond need comes from half of the budget', t => {
  const budget = new WindowBudget(100)
  t.is(budget.takeSpare(-1), 0)
  t.is(budget.takeSpare(40), 40)
  t.is(budget.takeSpare(40), 10)
  t.is(budget.takeSpare(40), 0)
  t.is(budget.take(40), 40)
  t.is(budget.takeSpare(40), 0)
})

test('one session never holds more than it leaves free, and there is always something for the next', t => {
  const budget = new WindowBudget(1_200)
  const shares = [budget.share(), budget.share(), budget.share()] as const
  t.is(shares[0].take(10_000), 600)
  t.is(shares[0].take(10_000), 0)
  t.is(shares[1].take(10_000), 300)
  t.is(shares[2].take(100), 100)
  t.is(shares[0].take(1), 0, 'it has more than its share by now')
  shares[0].give(600)
  t.is(shares[1].take(10_000), 250)
  t.is(budget.takenBytes, 650)
})

test('a session that asks for all of it, in streams without end, leaves the others a window', t => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 16 << 20 }), { minLength: 1, maxLength: 500 }), wishes => {
      const budget = new WindowBudget(64 << 20)
      const greedy = budget.share()
      for (const wish of wishes) greedy.take(wish)
      t.true(budget.share().take(8 << 20) === 8 << 20)
    }),
    { seed: 1, numRuns: 100 },
  )
})
