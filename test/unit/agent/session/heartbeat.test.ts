import test from 'ava'
import fc from 'fast-check'
import {
  answered,
  DEAD_MS,
  type Heartbeat,
  heard,
  isRelieved,
  nextCheckMs,
  type Pace,
  PING_MS,
  paceOf,
  pingDue,
  pinged,
  QUEUE_BYTES,
  STALLED_DEAD_MS,
  STALLED_MS,
  sent,
  startHeartbeat,
  vitalOf,
} from '../../../../agent/session/heartbeat.ts'

test('a path that waits for nothing is sound, however long it is silent', t => {
  t.is(vitalOf(startHeartbeat(0), 20, 1e9), 'sound')
  t.is(vitalOf(answered(heard(sent(startHeartbeat(0), 10), 30)), 20, 1e9), 'sound')
})

for (const [rttMs, suspectMs] of [
  [0, 1_000],
  [250, 1_000],
  [600, 2_400],
] as const) {
  test(`with ${rttMs} ms to and fro a path is suspect after ${suspectMs} ms without an answer, and dead after 5 s`, t => {
    const beat = sent(startHeartbeat(0), 100)
    t.is(vitalOf(beat, rttMs, 100 + suspectMs - 1), 'sound')
    t.is(vitalOf(beat, rttMs, 100 + suspectMs), 'suspect')
    t.is(vitalOf(beat, rttMs, 100 + DEAD_MS - 1), 'suspect')
    t.is(vitalOf(beat, rttMs, 100 + DEAD_MS), 'dead')
  })
}

test('a path on which little is heard and nothing answers is suspect as soon as a silent one', t => {
  const beat = heard(sent(startHeartbeat(0), 100), 900, QUEUE_BYTES - 1)
  t.is(vitalOf(beat, 20, 1_099), 'sound')
  t.is(vitalOf(beat, 20, 1_100), 'suspect')
  t.is(vitalOf(heard(beat, 1_000, 1), 20, 1_100), 'sound')
  // What is sent after an answer waits anew, and with an empty queue.
  t.is(vitalOf(sent(answered(heard(beat, 1_000, 1)), 1_000), 20, 2_000), 'suspect')
})

test('a suspect path is relieved by an answer to what was sent before, not by what is merely heard', t => {
  const beat = sent(startHeartbeat(0), 100)
  t.false(isRelieved(heard(beat, 2_000), 1_100))
  t.false(isRelieved(pinged(heard(beat, 2_000), 2_100), 1_100))
  t.true(isRelieved(answered(beat), 1_100))
  t.true(isRelieved(sent(answered(beat), 2_000), 1_100))
})

test('a path that is heard much but never answers is suspect after 4 s or 8 round trips, and dead after 20 s', t => {
  const beat = heard(sent(startHeartbeat(0), 100), 3_900, QUEUE_BYTES)
  t.is(vitalOf(beat, 20, 100 + STALLED_MS - 1), 'sound')
  t.is(vitalOf(beat, 20, 100 + STALLED_MS), 'suspect')
  t.is(vitalOf(beat, 600, 100 + STALLED_MS), 'sound')
  t.is(vitalOf(beat, 600, 100 + 4_800), 'suspect')
  t.is(vitalOf(beat, 20, 100 + STALLED_DEAD_MS - 1), 'suspect')
  t.is(vitalOf(beat, 20, 100 + STALLED_DEAD_MS), 'dead')
  t.is(vitalOf(answered(beat), 20, 1e9), 'sound')
})

test('the oldest unanswered thing counts, not the last', t => {
  const beat = sent(sent(startHeartbeat(0), 100), 4_000)
  t.is(beat.awaitingSince, 100)
  t.is(pinged(beat, 4_500).awaitingSince, 100)
})

test('a busy path is pinged every 2 s, one used lately after 5 s of silence, an idle one after 25 s', t => {
  const beat = heard(startHeartbeat(0), 1_900)
  t.false(pingDue(beat, 'busy', PING_MS.busy - 1))
  t.true(pingDue(beat, 'busy', PING_MS.busy))
  for (const pace of ['recent', 'idle'] as const) {
    t.false(pingDue(beat, pace, PING_MS[pace] + 1_899))
    t.true(pingDue(beat, pace, PING_MS[pace] + 1_900))
  }
  t.deepEqual(PING_MS, { busy: 2_000, recent: 5_000, idle: 25_000 })
})

test('a session was used lately for two minutes after its last stream', t => {
  t.is(paceOf(true, 1e9), 'busy')
  t.is(paceOf(false, 119_999), 'recent')
  t.is(paceOf(false, 120_000), 'idle')
  t.is(paceOf(false, Number.POSITIVE_INFINITY), 'idle')
})

test('whoever looks when told to finds a dead path within 100 ms, and pings no later than 100 ms', t => {
  const events = fc.array(fc.record({ waitMs: fc.nat(3_000), what: fc.constantFrom('heard', 'answered', 'sent') }), {
    maxLength: 30,
  })
  fc.assert(
    fc.property(events, fc.constantFrom<Pace>('busy', 'recent', 'idle'), fc.nat(800), (all, pace, rttMs) => {
      let beat: Heartbeat = startHeartbeat(0)
      let now = 0
      let lookAt = nextCheckMs(beat, pace, rttMs, now)
      const look = () => {
        now = lookAt
        const state = vitalOf(beat, rttMs, now)
        if (state === 'dead') {
          const silent = now - (beat.awaitingSince ?? now)
          const stalled = now - (beat.unansweredSince ?? now)
          t.true(silent >= DEAD_MS ? silent < DEAD_MS + 100 : stalled < STALLED_DEAD_MS + 100)
          return false
        }
        if (pingDue(beat, pace, now)) {
          const since = Math.max(beat.pingedAt, pace === 'busy' ? 0 : beat.heardAt)
          t.true(now - since < PING_MS[pace] + 100)
          beat = pinged(beat, now)
        }
        const wait = nextCheckMs(beat, pace, rttMs, now)
        t.true(wait >= 20 && wait <= PING_MS[pace])
        lookAt = now + wait
        return true
      }
      for (const { waitMs, what } of all) {
        const until = now + waitMs
        while (lookAt <= until) if (!look()) return
        now = until
        beat = what === 'heard' ? heard(beat, now) : what === 'answered' ? answered(heard(beat, now)) : sent(beat, now)
        // As a link does: what is sent first after silence sets the time anew.
        if (what === 'sent') lookAt = Math.min(lookAt, now + nextCheckMs(beat, pace, rttMs, now))
      }
      // From here on nobody answers.
      for (let looks = 0; look(); looks++) t.true(looks < 400)
    }),
    { seed: 1, numRuns: 300 },
  )
})
