import { setImmediate } from 'node:timers/promises'
import test from 'ava'
import { CallRace } from '../../../../agent/session/call-race.ts'
import { CulvertError } from '../../../../common/errors.ts'
import { FakeClock } from '../../fake-clock.ts'

const REFUSED = new CulvertError('peer-refused', 'refused')

interface Call {
  readonly signal: AbortSignal
  settle(error?: CulvertError): void
}

function scene(waits = true) {
  let waiting = waits
  const clock = new FakeClock()
  const calls: Call[] = []
  const stop = new AbortController()
  const race = new CallRace(
    {
      clock,
      place: signal =>
        new Promise(resolve => {
          calls.push({ signal, settle: resolve })
        }),
      patienceMs: () => 1_000,
      waiting: () => waiting,
    },
    stop.signal,
  )
  const wait = () => {
    waiting = true
    race.hurry()
  }
  return { clock, calls, race, stop, wait }
}

test('a call that hangs gets another beside it, and the first that succeeds ends both', async t => {
  const { clock, calls, race } = scene()
  clock.advance(999)
  t.is(calls.length, 1)
  clock.advance(1)
  t.is(calls.length, 2)
  calls[0]?.settle()
  t.is(await race.result, undefined)
  t.true(calls[1]?.signal.aborted)
  clock.advance(10_000)
  t.is(calls.length, 2)
})

test('no more than three hang at a time', t => {
  const { clock, calls } = scene()
  clock.advance(5_000)
  t.is(calls.length, 6)
  t.deepEqual(
    calls.map(({ signal }) => signal.aborted),
    [true, true, true, false, false, false],
  )
})

test('the failure of the newest call is the answer, that of an older one is not', async t => {
  const { clock, calls, race } = scene()
  clock.advance(1_000)
  calls[0]?.settle(new CulvertError('timed-out', 'late'))
  await setImmediate()
  calls[1]?.settle(REFUSED)
  t.is(await race.result, REFUSED)
})

test('a call that was one too many for the relay ends none of those that are under way', async t => {
  const { clock, calls, race } = scene()
  clock.advance(1_000)
  calls[1]?.settle(new CulvertError('over-quota', 'too many pipes'))
  await setImmediate()
  t.false(calls[0]?.signal.aborted)
  calls[0]?.settle(REFUSED)
  t.is(await race.result, REFUSED)
})

test('a call that is too much for the relay by itself is the answer', async t => {
  const { calls, race } = scene()
  const quota = new CulvertError('over-quota', 'too many pipes')
  calls[0]?.settle(quota)
  t.is(await race.result, quota)
})

test('where nobody waits, a call has all the time', t => {
  const { clock, calls } = scene(false)
  clock.advance(60_000)
  t.is(calls.length, 1)
})

test('whoever comes later to a call that hangs gets the next one at once, and not before it hangs', t => {
  const { clock, calls, wait } = scene(false)
  clock.advance(400)
  wait()
  t.is(calls.length, 1)
  clock.advance(600)
  t.is(calls.length, 2)

  const late = scene(false)
  late.clock.advance(5_000)
  t.is(late.calls.length, 1)
  for (let n = 0; n < 10; n++) late.wait()
  t.is(late.calls.length, 2)
})

test('a change for the better is a reason for another call, but not ten times at once', t => {
  const { clock, calls, race } = scene(false)
  clock.advance(400)
  for (let n = 0; n < 10; n++) race.another()
  t.is(calls.length, 2)
})

test('what is not needed any more ends every call', async t => {
  const { clock, calls, race } = scene()
  clock.advance(1_000)
  race.end()
  t.is(await race.result, undefined)
  t.true(calls.every(({ signal }) => signal.aborted))
  clock.advance(10_000)
  t.is(calls.length, 2)
})

test('an abort from outside ends it with what the call says then', async t => {
  const { calls, race, stop } = scene()
  stop.abort()
  t.true(calls[0]?.signal.aborted)
  calls[0]?.settle(REFUSED)
  t.is(await race.result, REFUSED)
})
