import test from 'ava'
import { Acknowledger } from '../../../../agent/session/acknowledger.ts'
import { FakeClock } from '../../fake-clock.ts'

function start() {
  const clock = new FakeClock()
  const woken: number[] = []
  const acknowledger = new Acknowledger(clock, () => woken.push(clock.now()))
  return { clock, woken, acknowledger }
}

test('a burst is acknowledged once, 25 ms after its first frame', t => {
  const { clock, woken, acknowledger } = start()
  for (let i = 0; i < 10; i++) {
    acknowledger.count(100)
    clock.advance(2)
  }
  t.false(acknowledger.due)
  clock.advance(5)
  t.deepEqual(woken, [25])
  t.true(acknowledger.due)
  t.is(acknowledger.take(), 10)
  t.false(acknowledger.due)
  clock.advance(1_000)
  t.deepEqual(woken, [25])
  t.is(clock.timers, 0)
})

test('after 512 KiB it is due at once, whatever the time', t => {
  const { clock, woken, acknowledger } = start()
  for (let i = 0; i < 32; i++) acknowledger.count(16_384)
  t.deepEqual(woken, [0])
  t.is(acknowledger.take(), 32)
  t.is(clock.timers, 0)
})

test('a count can be said again, without anything new', t => {
  const { clock, woken, acknowledger } = start()
  acknowledger.count(1)
  clock.advance(25)
  acknowledger.take()
  acknowledger.repeat()
  acknowledger.repeat()
  clock.advance(25)
  t.deepEqual(woken, [25, 50])
  t.is(acknowledger.take(), 1)
})

test('what is due stays due until it is taken, and is not asked for twice', t => {
  const { clock, woken, acknowledger } = start()
  acknowledger.count(1)
  clock.advance(25)
  acknowledger.repeat()
  clock.advance(1_000)
  t.deepEqual(woken, [25])
  t.true(acknowledger.due)
})

test('restarting forgets the count, stopping leaves no timer', t => {
  const { clock, woken, acknowledger } = start()
  acknowledger.count(1)
  acknowledger.restart()
  t.is(acknowledger.received, 0)
  clock.advance(100)
  t.deepEqual(woken, [])
  acknowledger.count(1)
  acknowledger.stop()
  t.is(clock.timers, 0)
})
