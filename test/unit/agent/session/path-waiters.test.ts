import test from 'ava'
import { PathWaiters } from '../../../../agent/session/path-waiters.ts'
import { CulvertError } from '../../../../common/errors.ts'
import { FakeClock } from '../../fake-clock.ts'

function scene() {
  const clock = new FakeClock()
  const waiters = new PathWaiters(clock)
  const stop = new AbortController()
  const late = () => new CulvertError('peer-unreachable', 'late')
  const wait = <T>(look: () => T | undefined) => waiters.wait({ limitMs: 1_000, signal: stop.signal, look, late })
  return { clock, waiters, stop, wait }
}

test('who waits looks at every change, until there is something', async t => {
  const { waiters, wait, clock } = scene()
  let found: string | undefined
  const waiting = wait(() => found)
  waiters.wake()
  t.true(waiters.waiting)
  found = 'a path'
  waiters.wake()
  t.false(waiters.waiting)
  t.is(await waiting, 'a path')
  t.is(clock.timers, 0)
})

test('it may learn that it waits in vain', async t => {
  const { waiters, wait } = scene()
  const waiting = wait(() => {
    throw new CulvertError('peer-refused', 'no')
  })
  waiters.wake()
  t.is((await t.throwsAsync(waiting))?.message, 'no')
  t.false(waiters.waiting)
})

test('a wait ends with its time, or when it is aborted, and then nobody is left', async t => {
  const { clock, waiters, stop, wait } = scene()
  const late = wait(() => undefined)
  clock.advance(1_000)
  t.is((await t.throwsAsync(late))?.message, 'late')
  const aborted = wait(() => undefined)
  stop.abort()
  t.is((await t.throwsAsync(aborted, { instanceOf: CulvertError }))?.code, 'aborted')
  t.is(
    (
      await t.throwsAsync(
        wait(() => undefined),
        { instanceOf: CulvertError },
      )
    )?.code,
    'aborted',
  )
  t.false(waiters.waiting)
  t.is(clock.timers, 0)
})
