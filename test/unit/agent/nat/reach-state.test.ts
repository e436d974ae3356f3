import test from 'ava'
import {
  advanceReach,
  nextReachAt,
  type ReachEvent,
  type ReachState,
  type Verdict,
  verdictOn,
} from '../../../../agent/nat/reach-state.ts'

const HERE = { address: '198.51.100.7', port: 4000 }
const THERE = { address: '198.51.100.7', port: 4001 }

class Play {
  state: ReachState = { name: 'idle' }
  now = 0

  /** True when it wants a look. */
  on(event: ReachEvent): boolean {
    const { state, look } = advanceReach(this.state, event, this.now)
    this.state = state
    return look !== undefined
  }

  found(outcome: Verdict): void {
    this.on({ name: 'outcome', endpoint: HERE, outcome })
  }

  tick(): boolean {
    this.now = nextReachAt(this.state)
    return this.on({ name: 'tick' })
  }

  get verdict() {
    return verdictOn(this.state, HERE)
  }
}

function watching(): Play {
  const play = new Play()
  play.on({ name: 'endpoint', endpoint: HERE })
  return play
}

test('a new endpoint is looked at, and nothing is said of it before', t => {
  const play = new Play()
  t.true(play.on({ name: 'endpoint', endpoint: HERE }))
  t.is(play.verdict, undefined)
  t.false(play.on({ name: 'endpoint', endpoint: HERE }), 'once')
  play.found('reached')
  t.is(play.verdict, 'reached')
  t.is(verdictOn(play.state, THERE), undefined)
})

test('one look that failed is repeated after two seconds, and only the second is believed', t => {
  const play = watching()
  play.found('unreached')
  t.is(play.verdict, undefined)
  t.true(play.tick())
  t.is(play.now, 2_000)
  play.found('unreached')
  t.is(play.verdict, 'unreached')
})

test('what does not work is looked at again after 1, 2, 4 min and so on to half an hour, and believed when it works', t => {
  const play = watching()
  play.found('unreached')
  play.tick()
  const waits: number[] = []
  for (let i = 0; i < 7; i++) {
    play.found('unreached')
    const before = play.now
    t.true(play.tick())
    t.is(play.verdict, 'unreached', 'also while it is looked at')
    waits.push((play.now - before) / 60_000)
  }
  t.deepEqual(waits, [1, 2, 4, 8, 16, 30, 30])
  play.found('reached')
  t.is(play.verdict, 'reached')
})

test('what works is looked at every hour, and told meanwhile', t => {
  const play = watching()
  play.found('reached')
  t.true(play.tick())
  t.is(play.now, 3_600_000)
  t.is(play.verdict, 'reached')
  play.found('unreached')
  t.is(play.verdict, 'reached', 'one lost packet')
  play.tick()
  play.found('unreached')
  t.is(play.verdict, 'unreached')
})

test('where nobody can look the verdict is that, until a relay comes', t => {
  const play = watching()
  t.false(play.on({ name: 'relay' }), 'a look is under way')
  play.found('unknown')
  t.is(play.verdict, 'unknown')
  t.true(play.on({ name: 'relay' }))
  play.found('reached')
  t.false(play.on({ name: 'relay' }))
})

test('that nobody can look now takes nothing back of what was seen', t => {
  const play = watching()
  play.found('reached')
  play.tick()
  play.found('unknown')
  t.is(play.verdict, 'reached')
})

test('after a change of the network it looks again; an outcome about another endpoint is not heard', t => {
  const play = watching()
  play.found('reached')
  t.true(play.on({ name: 'network' }))
  t.true(play.on({ name: 'endpoint', endpoint: THERE }))
  play.found('unreached')
  t.deepEqual(play.state, { name: 'checking', endpoint: THERE, verdict: undefined, failures: 0 })
  t.false(play.on({ name: 'endpoint', endpoint: undefined }))
  t.deepEqual(play.state, { name: 'idle' })
})
