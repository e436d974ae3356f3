import test from 'ava'
import {
  directRetryMs,
  hangingMs,
  recallMs,
  udpDelayMs,
  upgradeRetryMs,
} from '../../../../agent/session/direct-schedule.ts'
import type { Candidate } from '../../../../common/wire/candidate.ts'

test('while bytes flow over a relay, a direct path is tried for at least every minute', t => {
  t.deepEqual(
    [0, 1, 2, 3, 4, 5, 6, 1000].map(failures => directRetryMs(failures, true)),
    [3_000, 3_000, 8_000, 20_000, 40_000, 60_000, 60_000, 60_000],
  )
})

test('an idle session tries for one at least every ten minutes', t => {
  t.deepEqual(
    [0, 1, 2, 3, 4, 1000].map(failures => directRetryMs(failures, false)),
    [15_000, 15_000, 60_000, 180_000, 600_000, 600_000],
  )
})

const at = (kind: Candidate['kind'], how: Candidate['how']): Candidate => ({
  kind,
  how,
  endpoint: { address: '192.0.2.1', port: 1 },
})

test('UDP waits 400 ms when the peer has a TCP address that is open, and not at all otherwise', t => {
  for (const how of ['public', 'mapped', 'ipv6'] as const) t.is(udpDelayMs([at('udp', 'lan'), at('tcp', how)]), 400)
  t.is(udpDelayMs([]), 0)
  t.is(udpDelayMs([at('tcp', 'lan'), at('tcp', 'punched'), at('udp', 'mapped')]), 0)
})

test('calls are repeated quickly at first, with a quarter of chance either way', t => {
  t.deepEqual(
    [0, 1, 2, 3, 4, 14].map(failures => recallMs(failures, false, 0.5)),
    [200, 500, 1_000, 2_000, 4_000, 4_000],
  )
  t.is(recallMs(0, false, 0), 150)
  t.is(recallMs(0, false, 1), 250)
})

test('after fifteen calls in vain a peer that nobody waits for is called once a minute', t => {
  t.is(recallMs(15, false, 0.5), 60_000)
  t.is(recallMs(15, true, 0.5), 1_000)
})

test('a call hangs when it takes longer than it should on such a line, and each next one gets more time', t => {
  t.is(hangingMs(0, 1), 1_000)
  t.is(hangingMs(40, 1), 1_000)
  t.is(hangingMs(600, 1), 6_000)
  t.is(hangingMs(0, 3), 2_250)
  t.is(hangingMs(5_000, 100), 10_000)
})

test('TCP is tried for while UDP is in use: soon while bytes flow, and hardly ever while none do', t => {
  const waits = (busy: boolean) => [0, 1, 2, 3, 100].map(tries => upgradeRetryMs(tries, busy))
  t.deepEqual(waits(true), [10_000, 30_000, 60_000, 60_000, 60_000])
  t.deepEqual(waits(false), [15_000, 60_000, 600_000, 3_600_000, 3_600_000])
})
