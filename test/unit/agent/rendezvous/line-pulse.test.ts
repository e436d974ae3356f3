import test from 'ava'
import { LinePulse } from '../../../../agent/rendezvous/line-pulse.ts'
import { FakeClock } from '../../fake-clock.ts'

function scene() {
  const line = { answers: false }
  const clock = new FakeClock()
  const pings: number[] = []
  const late: number[] = []
  const silences: (readonly [number, boolean])[] = []
  const deaths: string[] = []
  const pulse: LinePulse = new LinePulse({
    clock,
    ping: () => {
      pings.push(clock.now())
      if (line.answers) pulse.pong()
    },
    onLate: () => late.push(clock.now()),
    onSilence: () => silences.push([clock.now(), pulse.silent]),
    onDead: reason => {
      deaths.push(reason)
      pulse.stop()
    },
  })
  return Object.assign(line, { clock, pings, late, silences, deaths, pulse })
}

test('a ping goes at first, and then when the line was silent for as long as the relay wants', t => {
  const { clock, pings, pulse } = scene()
  pulse.start(25_000)
  clock.advance(30)
  pulse.pong()
  t.is(pulse.rttMs, 30)
  clock.advance(6_000)
  pulse.heard()
  clock.advance(9_999)
  t.deepEqual(pings, [0])
  clock.advance(1)
  t.deepEqual(pings, [0, 16_030], 'a line that just came up may be needed soon')
})

/** A line that nobody has used for long, and whose last ping was answered right now. */
function idleLine() {
  const line = scene()
  line.answers = true
  line.pulse.start(25_000)
  line.clock.advance(120_000 + 25_000)
  line.answers = false
  line.pings.length = 0
  return line
}

test('a line that was used lately is found dead within 15 s, one that nobody uses within 30', t => {
  for (const [used, within] of [
    [true, 15_000],
    [false, 30_000],
  ] as const) {
    const { clock, deaths, pulse } = idleLine()
    if (used) pulse.used()
    clock.advance(within - 1)
    t.deepEqual(deaths, [])
    clock.advance(1)
    t.is(deaths.length, 1)
    t.is(clock.timers, 0)
  }
})

test('one that is used while it is long silent is asked at once', t => {
  const { clock, pings, pulse } = idleLine()
  clock.advance(19_000)
  pulse.used()
  clock.advance(0)
  t.is(pings.length, 1)
})

test('an idle line costs 3,456 pings a day, and one more each time that somebody looks', async t => {
  const line = idleLine()
  line.answers = true
  line.clock.advance(86_400_000)
  t.is(line.pings.length, 3_456)
  line.clock.advance(5_000)
  await line.pulse.look()
  line.clock.advance(25_000)
  t.is(line.pings.length, 3_458)
})

test('whoever looks is told within 2.5 s that a line does not answer, and when it does after all', async t => {
  const { clock, pings, silences, deaths, pulse } = idleLine()
  clock.advance(1_999)
  await pulse.look()
  t.is(pings.length, 0, 'something came a moment ago')
  clock.advance(1)
  const [one, other] = [pulse.look(), pulse.look()]
  t.is(pings.length, 1)
  const from = clock.now()
  clock.advance(2_499)
  t.false(pulse.silent)
  clock.advance(1)
  await Promise.all([one, other])
  t.true(pulse.silent)
  await pulse.look()
  pulse.heard()
  t.true(pulse.silent, 'what it says by itself is no answer')
  pulse.pong()
  t.false(pulse.silent)
  t.deepEqual(silences, [
    [from + 2_500, true],
    [from + 2_500, false],
  ])
  clock.advance(2_000)
  const last = pulse.look()
  clock.advance(5_000)
  await last
  t.is(deaths.length, 1)
  t.false(pulse.silent)
})

test('a look at a line that answers, or ends, is over at once', async t => {
  const { clock, pulse } = idleLine()
  await Promise.all(
    [() => pulse.pong(), () => pulse.stop()].map(async end => {
      clock.advance(3_000)
      const look = pulse.look()
      end()
      await look
    }),
  )
  await pulse.look()
  t.is(clock.timers, 0)
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
    onSilence: () => t.fail(),
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
