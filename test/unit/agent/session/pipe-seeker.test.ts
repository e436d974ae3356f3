import test from 'ava'
import { PipeSeeker } from '../../../../agent/session/pipe-seeker.ts'
import { FakeClock } from '../../fake-clock.ts'

test('a pipe is asked for when a relay has carried user bytes for a while, and less often each time in vain', async t => {
  const clock = new FakeClock()
  const asked: number[] = []
  let wanted = true
  const seeker = new PipeSeeker({
    clock,
    smaller: true,
    wanted: () => wanted,
    seek: async () => {
      asked.push(clock.now())
      return false
    },
  })
  for (let second = 0; second < 40; second++) {
    seeker.look()
    clock.advance(1_000)
    await new Promise(resolve => setImmediate(resolve))
  }
  t.deepEqual(asked, [3_000, 9_000, 21_000])
  wanted = false
  seeker.look()
  t.is(clock.timers, 0)
})
