import test from 'ava'
import { memoryPlan } from '../../../../agent/session/memory-plan.ts'
import { lesserLimit } from '../../../../common/platform/memory-limit.ts'

const MIB = 1024 * 1024

test('with 256 MiB or more nothing is spared, with less all buffers get smaller, and never too small to work', t => {
  t.deepEqual(memoryPlan(256 * MIB), { windowBytes: 64 * MIB, unacknowledgedBytes: 16 * MIB, keptBuffers: 1 })
  t.deepEqual(memoryPlan(64 * 1024 * MIB), memoryPlan(256 * MIB))
  let last = memoryPlan(256 * MIB)
  for (let mib = 255; mib > 0; mib--) {
    const plan = memoryPlan(mib * MIB)
    t.true(plan.windowBytes <= last.windowBytes && plan.keptBuffers <= last.keptBuffers)
    t.true(plan.windowBytes >= 2 * MIB && plan.unacknowledgedBytes >= MIB / 2)
    // Both directions at once leave most of what there is to the program itself.
    t.true(plan.windowBytes + 2 * plan.unacknowledgedBytes <= Math.max(4 * MIB, (mib * MIB) / 4), `${mib} MiB`)
    last = plan
  }
})

test("the limit is the control group's, else what the machine has", t => {
  t.is(lesserLimit(128 * MIB, 1024 * MIB), 128 * MIB)
  t.is(lesserLimit(2 ** 64, 1024 * MIB), 1024 * MIB)
  t.is(lesserLimit(0, 1024 * MIB), 1024 * MIB)
})
