import test from 'ava'
import { DEAD_MS, type Pace, PING_MS } from '../../../../agent/session/heartbeat.ts'
import { Pulse } from '../../../../agent/session/pulse.ts'
import { FakeClock } from '../../fake-clock.ts'

function watched(pace: Pace = 'idle') {
  const clock = new FakeClock()
  const seen: string[] = []
  const pulse = new Pulse({
    clock,
    pace: () => pace,
    rttMs: () => 20,
    onPingDue: () => {
      seen.push('ping')
      pulse.pinged()
    },
    onVital: () => seen.push(pulse.suspect ? 'suspect' : pulse.doubtful ? 'doubtful' : 'sound'),
    onDead: silentMs => {
      seen.push(`dead after ${silentMs} ms`)
      pulse.stop()
    },
  })
  return { clock, seen, pulse }
}

test('a path that never answers our hello is doubtful, suspect, then dead, and is not pinged', t => {
  const { clock, seen, pulse } = watched()
  pulse.sent()
  clock.advance(DEAD_MS)
  t.deepEqual(seen, ['doubtful', 'suspect', `dead after ${DEAD_MS} ms`])
  t.is(clock.timers, 0)
})

for (const pace of ['busy', 'recent', 'idle'] as const) {
  const periodMs = PING_MS[pace]
  test(`a path that answers is pinged every ${periodMs / 1000} s when it is ${pace}`, t => {
    const { clock, seen, pulse } = watched(pace)
    pulse.sent()
    pulse.heard(40)
    pulse.allowPings()
    for (let period = 0; period < 3; period++) {
      clock.advance(periodMs)
      pulse.heard(12)
      pulse.answered()
    }
    t.deepEqual(seen, ['ping', 'ping', 'ping'])
  })
}

test('a suspect path is sound again by an answer, not by what else it carries', t => {
  const { clock, seen, pulse } = watched('busy')
  pulse.allowPings()
  pulse.sent()
  clock.advance(1_000)
  pulse.heard(100)
  pulse.relieve()
  t.deepEqual(seen, ['doubtful', 'suspect'])
  pulse.answered()
  pulse.relieve()
  t.deepEqual(seen, ['doubtful', 'suspect', 'sound'])
})

test('a doubt is told half way to suspicion, once, and whatever comes ends it', t => {
  const { clock, seen, pulse } = watched()
  pulse.sent()
  clock.advance(499)
  t.deepEqual(seen, [])
  clock.advance(500)
  t.deepEqual(seen, ['doubtful'])
  pulse.heard(1)
  t.false(pulse.doubtful)
  pulse.answered()
  pulse.sent()
  clock.advance(500)
  t.deepEqual(seen, ['doubtful', 'doubtful'])
})

test('a path that was left is not watched any more', t => {
  const { clock, seen, pulse } = watched()
  pulse.sent()
  pulse.stop()
  pulse.sent()
  clock.advance(60_000)
  t.deepEqual(seen, [])
  t.is(clock.timers, 0)
})
