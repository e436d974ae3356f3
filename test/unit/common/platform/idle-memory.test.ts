import test from 'ava'
import { IdleMemory } from '../../../../common/platform/idle-memory.ts'
import { FakeClock } from '../../fake-clock.ts'

const MB = 1024 * 1024

function program(held = 20 * MB) {
  const clock = new FakeClock()
  const state = { busy: false, held, times: [] as number[] }
  const memory = new IdleMemory({
    clock,
    busy: () => state.busy,
    heldBytes: () => state.held,
    giveBack: () => {
      state.times.push(clock.now())
      state.held = 10 * MB
    },
  })
  return { clock, state, memory }
}

test('memory is given back three seconds after the last work, once, and no timer stays', t => {
  const { clock, state, memory } = program()
  memory.worked()
  clock.advance(2_000)
  memory.worked()
  clock.advance(2_900)
  t.deepEqual(state.times, [])
  clock.advance(100_000)
  t.deepEqual(state.times, [5_000])
  t.is(clock.timers, 0)
})

test('never while something is under way; its end sets it off', t => {
  const { clock, state, memory } = program()
  state.busy = true
  memory.worked()
  clock.advance(60_000)
  t.deepEqual(state.times, [])
  t.is(clock.timers, 0)
  state.busy = false
  memory.worked()
  clock.advance(3_000)
  t.deepEqual(state.times, [63_000])
})

test('at most once a minute, and then what came in between', t => {
  const { clock, state, memory } = program()
  memory.worked()
  clock.advance(3_000)
  state.held = 30 * MB
  memory.worked()
  clock.advance(30_000)
  t.deepEqual(state.times, [3_000])
  clock.advance(60_000)
  t.deepEqual(state.times, [3_000, 63_000])
})

test('not for less than two megabytes', t => {
  const { clock, state, memory } = program()
  memory.worked()
  clock.advance(100_000)
  state.held = 11 * MB
  memory.worked()
  clock.advance(100_000)
  t.is(state.times.length, 1)
})

test('closed, it does nothing more', t => {
  const { clock, state, memory } = program()
  memory.worked()
  memory.close()
  clock.advance(100_000)
  t.deepEqual(state.times, [])
})
