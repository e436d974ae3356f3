import test from 'ava'
import fc from 'fast-check'
import {
  beginWatch,
  type Look,
  muteMs,
  provingMs,
  type TrialState,
  watched,
} from '../../../../agent/update/trial-watch.ts'

const RULES = { version: '0.2.0', until: 180_000, terms: { seconds: 180, relay: true, peers: ['laptop'] } }
const GOOD = { version: '0.2.0', upSince: 1_000, relay: true, peer: true }

/** What becomes of a version that is looked at once a second and shows what `at` tells. */
function end(
  at: (ms: number) => Look,
  rules: typeof RULES = RULES,
): { readonly state: TrialState; readonly ms: number } {
  let state = beginWatch(0)
  for (let ms = 0; ; ms += 1_000) {
    state = watched(state, at(ms), ms, rules)
    if (state.name === 'kept' || state.name === 'rolled-back') return { state, ms }
  }
}

test('is kept once it has reached all for ten seconds', t => {
  const { state, ms } = end(now => (now < 4_000 ? 'mute' : now < 20_000 ? { ...GOOD, peer: false } : GOOD))
  t.is(state.name, 'kept')
  t.is(ms, 30_000)
})

test('is rolled back with what it has not reached', t => {
  const reasonOf = (look: Look) => {
    const { state, ms } = end(() => look)
    return [state.name === 'rolled-back' ? state.reason : state.name, ms]
  }
  t.deepEqual(reasonOf('mute'), ['0.2.0 did not start, or hangs', 60_000])
  t.deepEqual(reasonOf({ ...GOOD, relay: false, peer: false }), ['0.2.0 reached no relay in 180 s', 180_000])
  t.deepEqual(reasonOf({ ...GOOD, peer: false }), ['0.2.0 reached no peer in 180 s (before it: laptop)', 180_000])
  const [reason, ms] = reasonOf({ ...GOOD, version: '0.1.0' })
  t.regex(String(reason), /another version goes on in place of 0\.2\.0/)
  t.is(ms, 60_000)
})

test('one that starts again and again is not kept, however soon it reaches all', t => {
  const { state, ms } = end(now => (now % 8_000 === 0 ? 'mute' : { ...GOOD, upSince: now - (now % 8_000) }))
  t.is(state.name, 'rolled-back')
  t.is(ms, 180_000)
})

test('what was not had before is not asked for', t => {
  const terms = { seconds: 180, relay: false, peers: [] }
  t.is(end(() => ({ ...GOOD, relay: false, peer: false }), { ...RULES, terms }).state.name, 'kept')
})

test('is never kept after its time, nor without all that it has to reach, nor unless it was well without a break', t => {
  const looks = fc.record({
    mute: fc.boolean(),
    version: fc.constantFrom('0.2.0', '0.1.0'),
    relay: fc.boolean(),
    peer: fc.boolean(),
    start: fc.nat({ max: 3 }),
    stepMs: fc.nat({ max: 40_000 }),
  })
  fc.assert(
    fc.property(fc.array(looks, { maxLength: 60 }), steps => {
      let state = beginWatch(0)
      let now = 0
      let well: { readonly since: number; readonly start: number } | undefined
      for (const { mute, version, relay, peer, start, stepMs } of steps) {
        now += stepMs
        const look: Look = mute ? 'mute' : { version, relay, peer, upSince: start * 10_000 }
        const before = state
        state = watched(state, look, now, RULES)
        if (before.name === 'kept' || before.name === 'rolled-back') return t.is(state, before)
        const isWell = !mute && version === '0.2.0' && relay && peer
        well = isWell ? (well?.start === start ? well : { since: now, start }) : undefined
        if (state.name === 'kept') {
          t.true(now < RULES.until && well !== undefined && now - well.since >= provingMs(180))
        } else if (now >= RULES.until) t.is(state.name, 'rolled-back')
      }
      return undefined
    }),
    { numRuns: 2_000 },
  )
  t.is(muteMs(180), 60_000)
})
