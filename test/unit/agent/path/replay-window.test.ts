import test from 'ava'
import fc from 'fast-check'
import { ReplayWindow } from '../../../../agent/path/replay-window.ts'

test('a number is taken once, in any order within the window', t => {
  const steps = fc.array(fc.oneof(fc.nat(3_000), fc.nat(200), fc.nat(100_000)), { maxLength: 300 })
  fc.assert(
    fc.property(steps, numbers => {
      const window = new ReplayWindow()
      const taken = new Set<number>()
      let highest = -1
      for (const number of numbers) {
        const may = window.mayTake(number)
        if (taken.has(number)) t.false(may, `${number} again`)
        else if (number > highest - 2_000) t.true(may, `${number} after ${highest}`)
        if (number <= highest - 2_048) t.false(may, `${number} after ${highest}`)
        if (!may) continue
        window.take(number)
        taken.add(number)
        highest = Math.max(highest, number)
      }
      t.is(window.highest, highest)
    }),
    { seed: 1, numRuns: 300 },
  )
})

test('the last one that was taken is not taken again after a jump of whole windows', t => {
  const window = new ReplayWindow()
  for (const number of [0, 2_048, 4_096 + 31, 2 ** 40]) {
    t.true(window.mayTake(number))
    window.take(number)
    t.false(window.mayTake(number))
  }
  t.false(window.mayTake(0))
  t.true(window.mayTake(2 ** 40 - 1_900))
})
