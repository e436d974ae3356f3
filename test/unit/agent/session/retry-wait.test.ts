import test from 'ava'
import { RetryWait } from '../../../../agent/session/retry-wait.ts'
import { FakeClock } from '../../fake-clock.ts'

function scene() {
  const clock = new FakeClock(5_000)
  const wait = new RetryWait(clock)
  const endedAt: number[] = []
  return { clock, wait, endedAt, begin: (ms: number) => wait.begin(ms, () => endedAt.push(clock.now())) }
}

test('a wait that is adjusted again and again ends when its length from the begin is over', t => {
  const { clock, wait, endedAt, begin } = scene()
  begin(600_000)
  for (let i = 0; i < 7; i++) {
    clock.advance(9_000)
    wait.adjust(60_000)
  }
  t.deepEqual(endedAt, [65_000])
  t.false(wait.waiting)
})

test('adjusted to less than it has lasted, a wait ends at once', t => {
  const { clock, wait, endedAt, begin } = scene()
  begin(600_000)
  clock.advance(200_000)
  wait.adjust(60_000)
  clock.advance(0)
  t.deepEqual(endedAt, [205_000])
})

test('what is not waiting is not adjusted, and what is cancelled does not end', t => {
  const { clock, wait, endedAt, begin } = scene()
  wait.adjust(10)
  begin(1_000)
  t.true(wait.waiting)
  wait.cancel()
  wait.adjust(10)
  t.is(clock.timers, 0)
  clock.advance(10_000)
  t.deepEqual(endedAt, [])
})

test('a wait that begins takes the place of the one before', t => {
  const { clock, endedAt, begin } = scene()
  begin(1_000)
  clock.advance(500)
  begin(1_000)
  clock.advance(5_000)
  t.deepEqual(endedAt, [6_500])
})
