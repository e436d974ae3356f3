import test from 'ava'
import { LinePulse } from '../../../../agent/rendezvous/line-pulse.ts'
import { FakeClock } from '../../fake-clock.ts'

function scene() {
  const clock = new FakeClock()
  const pings: number[] = []
  const late: number[] = []
  const deaths: string[] = []
  const pulse = new LinePulse({
    clock,
    ping: () => pings.push(clock.now()),
    onLate: () => late.push(clock.now()),
    onDead: reason => {
      deaths.push(reason)
      pulse.stop()
    },
  })
  return { clock, pings, late, deaths, pulse }
}

test('a ping goes at first, and then when the line was silent for as long as the relay wants', t => {
  const { clock, pings, pulse } = scene()
  pulse.start(25_000)
  clock.advance(30)
  pulse.pong()
  t.is(pulse.rttMs, 30)
  clock.advance(20_000)
  pulse.heard()
  clock.advance(24_999)
  t.deepEqual(pings, [0])
  clock.advance(1)
  t.deepEqual(pings, [0, 45_030])
})

test('a line that does not answer is dead after 5 s, whatever else it says', t => {
  const { clock, deaths, pulse } = scene()
  pulse.start(25_000)
  for (let second = 0; second < 5; second++) {
    pulse.heard()
    clock.advance(1_000)
  }
  t.deepEqual(deaths, ['no answer to a ping in 5000 ms'])
  t.is(clock.timers, 0)
})

test('where somebody waits, a line is late sooner than it is dead, also for a ping under way', t => {
  const { clock, pings, late, deaths, pulse } = scene()
  pulse.start(25_000)
  clock.advance(400)
  for (let n = 0; n < 3; n++) pulse.askSoon()
  t.is(pings.length, 1)
  clock.advance(599)
  t.false(pulse.late)
  clock.advance(1)
  t.true(pulse.late)
  pulse.askSoon()
  clock.advance(3_999)
  t.deepEqual([late, deaths], [[1_000], []])
  clock.advance(1)
  t.deepEqual(deaths, ['no answer to a ping in 5000 ms'])
  t.is(clock.timers, 0)
})

test('an answer that is late is as good as any', t => {
  const { clock, late, deaths, pulse } = scene()
  pulse.start(25_000)
  pulse.askSoon()
  clock.advance(1_500)
  pulse.pong()
  t.false(pulse.late)
  pulse.askSoon()
  clock.advance(2_499)
  t.deepEqual([late, deaths], [[1_000], []], 'and the next one has four times as long, up to 2.5 s')
  clock.advance(1)
  t.deepEqual(late, [1_000, 4_000])
})

test('a line that was asked in time is known to be late when somebody waits for it', t => {
  const { clock, pings, late, pulse } = scene()
  pulse.ask()
  t.deepEqual(pings, [], 'not before it is up')
  pulse.start(25_000)
  pulse.pong()
  pulse.ask()
  pulse.ask()
  t.is(pings.length, 2)
  clock.advance(500)
  t.deepEqual(late, [])
  pulse.askSoon()
  clock.advance(0)
  t.deepEqual(late, [500])
})

test('a line that is found dead while it is asked leaves no timer', t => {
  const clock = new FakeClock()
  const pulse: LinePulse = new LinePulse({
    clock,
    ping: () => pulse.stop(),
    onLate: () => t.fail(),
    onDead: () => t.fail(),
  })
  pulse.start(25_000)
  pulse.heard()
  pulse.pong()
  t.is(clock.timers, 0)
  t.is(pulse.rttMs, null)
})

test('one round trip that was long, as a cut makes it, is not what the line is like', t => {
  const { clock, pulse } = scene()
  pulse.start(25_000)
  clock.advance(40)
  pulse.pong()
  pulse.ask()
  clock.advance(4_900)
  pulse.pong()
  t.is(pulse.rttMs, 4_900)
  t.is(pulse.leastRttMs, 40)
  for (let n = 0; n < 4; n++) {
    pulse.ask()
    clock.advance(700)
    pulse.pong()
  }
  t.is(pulse.leastRttMs, 700, 'but four are')
})
