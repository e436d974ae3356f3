import test from 'ava'
import fc from 'fast-check'
import {
  afterFailure,
  afterLoss,
  afterNetworkChange,
  afterWelcome,
  hurriedAttemptMs,
  hurriedDelayMs,
  hurriedPongMs,
  hurryMs,
  initialReconnect,
  type ReconnectState,
  reconnectDelayMs,
} from '../../../../agent/rendezvous/reconnect.ts'
import { seededDraw } from '../../mutate.ts'

function afterFailures(count: number, start: ReconnectState = initialReconnect): ReconnectState {
  let state = start
  for (let i = 0; i < count; i++) state = afterFailure(state)
  return state
}

test('after a break the delay is drawn from the window that the relay wished', t => {
  const state = afterWelcome(initialReconnect, 8_000)
  t.is(reconnectDelayMs(state, 0), 0)
  t.is(reconnectDelayMs(state, 0.5), 4_000)
  t.true(reconnectDelayMs(state, 0.999) < 8_000)
})

test('a relay that comes back within half a minute sees its agents within 5 s', t => {
  for (let failures = 1; failures <= 60; failures++) {
    t.true(reconnectDelayMs(afterFailures(failures, afterWelcome(initialReconnect, 3_000)), 0.9999) <= 4_200)
    t.true(reconnectDelayMs(afterFailures(failures, afterWelcome(initialReconnect, 300)), 0.9999) <= 1_200)
  }
})

test('a relay that stays away is tried less and less, twice a minute at last', t => {
  const delays = [60, 61, 62, 63, 64, 65, 66, 100_000].map(failures => reconnectDelayMs(afterFailures(failures), 0.5))
  t.deepEqual(delays, [700, 1_200, 2_200, 4_200, 8_200, 16_200, 30_200, 30_200])
  let tries = 0
  for (let at = 0; at < 600_000; tries++) at += reconnectDelayMs(afterFailures(tries), 0.5)
  t.true(tries < 90, `${tries} tries in ten minutes`)
})

test('after a change of the network it is tried as if it had just gone', t => {
  t.is(reconnectDelayMs(afterNetworkChange(afterFailures(500)), 0.5), 700)
  t.is(afterNetworkChange(initialReconnect).failures, 0)
})

test('no wish of a relay makes its agents hammer it, or stay away', t => {
  t.is(afterWelcome(initialReconnect, 0).windowMs, 100)
  t.is(afterWelcome(initialReconnect, 1e12).windowMs, 60_000)
})

test('the wait is never negative, never over a minute and a bit, and grows with chance', t => {
  fc.assert(
    fc.property(
      fc.nat(1_000_000),
      fc.nat(500),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (windowMs, failures, chance) => {
        const delay = reconnectDelayMs(afterFailures(failures, afterWelcome(initialReconnect, windowMs)), chance)
        t.true(delay >= 0 && delay <= 60_200)
        t.true(delay >= reconnectDelayMs(afterFailures(failures, afterWelcome(initialReconnect, windowMs)), chance / 2))
      },
    ),
    { seed: 1 },
  )
})

test('a welcome ends the count of failures', t => {
  t.is(afterWelcome(afterFailures(9), 1_000).failures, 0)
})

test('a relay that drops every line right after its welcome is tried less and less, as one that stays away', t => {
  const drop = (state: ReconnectState) => afterLoss(afterWelcome(state, 0), 4_999)
  const delays = []
  for (let i = 0, state = initialReconnect; i < 70; i++) {
    state = drop(state)
    delays.push(reconnectDelayMs(state, 0.5))
  }
  t.deepEqual(delays.slice(0, 5), [50, 300, 400, 600, 700])
  t.deepEqual(delays.slice(60, 70), [700, 1_200, 2_200, 4_200, 8_200, 13_000, 13_000, 13_000, 13_000, 13_000])
})

test('a relay that restarts twice, a line that held, and another network begin anew', t => {
  const dropped = [0, 0, 0].reduce(afterLoss, afterWelcome(initialReconnect, 1_000))
  t.is(dropped.failures, 2)
  t.is(afterLoss(afterWelcome(initialReconnect, 1_000), 0).failures, 0)
  t.deepEqual(afterLoss(dropped, 5_000), afterWelcome(initialReconnect, 1_000))
  t.is(afterLoss(afterNetworkChange(dropped), 0).failures, 0)
})

test('somebody who waits has a relay dialled every second, or as rarely as its relay wished', t => {
  t.is(hurryMs(afterWelcome(initialReconnect, 300)), 1_000)
  t.is(hurryMs(afterWelcome(initialReconnect, 8_000)), 8_000)
})

test('a line that was found dead while somebody waits is dialled at once, but not by all in one instant', t => {
  t.deepEqual([0, 0.5].map(hurriedDelayMs), [0, 50])
})

test('a line that is asked in a hurry has four round trips, half a second at least', t => {
  t.deepEqual([5, 200, 600, 5_000, null].map(hurriedPongMs), [500, 800, 2_400, 2_500, 1_000])
})

test('an attempt that somebody waits for has ten round trips, and more each time before another begins', t => {
  t.is(hurriedAttemptMs(null, 1), 2_000)
  t.is(hurriedAttemptMs(150, 1), 2_000)
  t.is(hurriedAttemptMs(400, 1), 4_000)
  t.is(hurriedAttemptMs(20, 3), 4_500)
  t.is(hurriedAttemptMs(5_000, 3), 10_000)
})

test('when a relay is back that was away, its agents come one by one, be they few or ten thousand', t => {
  const draw = seededDraw(1)
  const next = () => draw(1_000_000) / 1_000_000
  for (const lines of [20, 200, 10_000]) {
    const windowMs = Math.min(20_000, Math.max(300, lines))
    const comings = Array.from({ length: lines }, () => {
      let state = afterWelcome(initialReconnect, windowMs)
      // Away for half a minute: nobody knows any more when it went.
      let at = reconnectDelayMs(state, next())
      while (at < 30_000) {
        state = afterFailure(state)
        at += reconnectDelayMs(state, next())
      }
      return at - 30_000
    })
    const longest = Math.max(...comings)
    const slices = new Array<number>(10).fill(0)
    for (const at of comings) {
      const slice = Math.min(9, Math.floor((at / longest) * 10))
      slices[slice] = (slices[slice] ?? 0) + 1
    }
    const most = Math.max(...slices)
    t.true(most <= 0.3 * lines, `${lines} agents: ${slices.join(', ')} in ${Math.round(longest)} ms`)
  }
})
