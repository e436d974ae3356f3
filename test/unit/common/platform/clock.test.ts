import { getEventListeners } from 'node:events'
import test from 'ava'
import { deadline, pause, systemClock } from '../../../../common/platform/clock.ts'
import { collectGarbage } from '../../collect-garbage.ts'
import { FakeClock } from '../../fake-clock.ts'

test('a pause ends with true when its time is over', async t => {
  const clock = new FakeClock()
  const over = pause(clock, 100)
  clock.advance(99)
  t.is(clock.timers, 1)
  clock.advance(1)
  t.true(await over)
  t.is(clock.timers, 0)
})

test('a pause that is aborted ends with false, and leaves no timer', async t => {
  const clock = new FakeClock()
  const stop = new AbortController()
  const over = pause(clock, 100, stop.signal)
  stop.abort()
  t.false(await over)
  t.is(clock.timers, 0)
  t.false(await pause(clock, 100, stop.signal))
  t.is(clock.timers, 0)
})

test('a deadline aborts when its time is over, or with its parent, and not when done', t => {
  const clock = new FakeClock()
  const parent = new AbortController()
  const late = deadline(clock, 50, parent.signal)
  const done = deadline(clock, 50)
  const orphaned = deadline(clock, 500, parent.signal)
  done.done()
  clock.advance(50)
  t.is(late.signal.reason.name, 'TimeoutError')
  t.false(done.signal.aborted)
  t.false(orphaned.signal.aborted)
  parent.abort()
  t.true(orphaned.signal.aborted)
  orphaned.done()
  t.is(clock.timers, 0)
})

test('deadlines that are done are held no longer by a parent that lives on, whoever still listens to them', async t => {
  const clock = new FakeClock()
  const parent = new AbortController()
  const made = Array.from({ length: 50 }, () => {
    const limit = deadline(clock, 50, parent.signal)
    limit.signal.addEventListener('abort', () => t.fail())
    limit.done()
    return new WeakRef(limit.signal)
  })
  await collectGarbage()
  t.is(made.filter(signal => signal.deref()).length, 0)
  t.is(getEventListeners(parent.signal, 'abort').length, 0)
  t.false(parent.signal.aborted)
})

test('time of the system goes forward, and its timers do not keep a process alive', t => {
  const now = systemClock.now()
  t.true(systemClock.now() >= now)
  // An hour that nobody waits for: were it not unreferenced, this file would not end.
  systemClock.after(3_600_000, () => undefined)
  systemClock.every(3_600_000, () => undefined)
  t.pass()
})

test("a test's clock runs what is due in order, at its own time", t => {
  const clock = new FakeClock()
  const log: string[] = []
  clock.every(10, () => log.push(`every ${clock.now()}`))
  clock.after(25, () => {
    log.push(`after ${clock.now()}`)
    clock.after(3, () => log.push(`nested ${clock.now()}`))
  })
  clock.after(5, () => log.push('cancelled')).cancel()
  clock.advance(30)
  t.deepEqual(log, ['every 10', 'every 20', 'after 25', 'nested 28', 'every 30'])
  t.is(clock.now(), 30)
})
