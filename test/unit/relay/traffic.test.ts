import test from 'ava'
import { generateKeyPair } from '../../../common/platform/ed25519.ts'
import { Traffic } from '../../../relay/traffic.ts'
import { FakeClock } from '../fake-clock.ts'

const peer = generateKeyPair().id
const other = generateKeyPair().id
const none = { bytesPerSecond: null, bytesPerDay: null }

function meterOf(traffic: Traffic, sender = peer, address?: string) {
  const seen = { resumed: 0, over: '' }
  const over = (why: string) => {
    seen.over = why
  }
  const meter = traffic.meter(sender, { resume: () => seen.resumed++, over }, address)
  return { meter, seen }
}

test('a direction over its rate is paused, and resumed when the debt is paid', t => {
  const clock = new FakeClock()
  const traffic = new Traffic(
    clock,
    () => ({ bytesPerSecond: 1_000, bytesPerDay: null }),
    () => none,
  )
  const { meter, seen } = meterOf(traffic)
  t.true(meter.spend(500))
  t.false(meter.spend(1_500))
  clock.advance(900)
  t.is(seen.resumed, 0)
  clock.advance(200)
  t.is(seen.resumed, 1)
})

test('time is looked at only while something is paused', t => {
  const clock = new FakeClock()
  const traffic = new Traffic(
    clock,
    () => ({ bytesPerSecond: 1_000, bytesPerDay: null }),
    () => none,
  )
  const { meter } = meterOf(traffic)
  t.is(clock.timers, 0)
  meter.spend(2_000)
  t.is(clock.timers, 1)
  clock.advance(3_000)
  t.is(clock.timers, 0)
})

test('the pipes of one peer share its rate, and another peer has its own', t => {
  const clock = new FakeClock()
  const traffic = new Traffic(
    clock,
    () => ({ bytesPerSecond: 1_000, bytesPerDay: null }),
    () => none,
  )
  const first = meterOf(traffic)
  const second = meterOf(traffic)
  const third = meterOf(traffic, other)
  first.meter.spend(5_000)
  t.false(second.meter.spend(1))
  t.true(third.meter.spend(1))
})

test('all identities of one address share four times the rate of a peer, and another address has its own', t => {
  const clock = new FakeClock()
  const traffic = new Traffic(
    clock,
    () => ({ bytesPerSecond: 1_000, bytesPerDay: null }),
    () => none,
  )
  const sybil = (address: string) => meterOf(traffic, generateKeyPair().id, address)
  for (let count = 0; count < 4; count++) sybil('192.0.2.1').meter.spend(1_000)
  const fifth = sybil('192.0.2.1')
  t.false(fifth.meter.spend(1))
  t.true(sybil('192.0.2.2').meter.spend(1))
  t.true(meterOf(traffic, generateKeyPair().id).meter.spend(1))
  clock.advance(100)
  t.is(fifth.seen.resumed, 1)
})

test('the identities of one address are over their day together', t => {
  const traffic = new Traffic(
    new FakeClock(),
    () => ({ bytesPerSecond: null, bytesPerDay: 100 }),
    () => none,
  )
  for (let count = 0; count < 4; count++) meterOf(traffic, generateKeyPair().id, '192.0.2.1').meter.spend(99)
  const last = meterOf(traffic, generateKeyPair().id, '192.0.2.1')
  t.false(last.meter.spend(4))
  t.is(last.seen.over, 'address 192.0.2.1 sent its bytes of the day')
})

test('the limit in all holds for every peer', t => {
  const clock = new FakeClock()
  const traffic = new Traffic(
    clock,
    () => none,
    () => ({ bytesPerSecond: 1_000, bytesPerDay: 10_000 }),
  )
  t.false(meterOf(traffic).meter.spend(2_000))
  t.false(meterOf(traffic, other).meter.spend(1))
  t.is(traffic.paused, 2)
  const last = meterOf(traffic)
  last.meter.spend(10_000)
  t.regex(last.seen.over, /^all sent/)
  t.is(traffic.refusal(peer), 'daily bytes of the relay used up')
})

test('a peer over its day is told, once per pipe, and may not call again before the next', t => {
  const clock = new FakeClock()
  const traffic = new Traffic(
    clock,
    () => ({ bytesPerSecond: null, bytesPerDay: 100 }),
    () => none,
  )
  const { meter, seen } = meterOf(traffic)
  t.false(meter.spend(100))
  t.regex(seen.over, new RegExp(`peer ${peer.slice(0, 10)} sent its bytes of the day`))
  t.is(traffic.refusal(peer), 'daily bytes of the peer used up')
  t.is(traffic.refusal(other), undefined)
  meter.close()
  clock.advance(86_400_000)
  t.is(traffic.refusal(peer), undefined)
})

test('a closed meter is not resumed', t => {
  const clock = new FakeClock()
  const traffic = new Traffic(
    clock,
    () => ({ bytesPerSecond: 10, bytesPerDay: null }),
    () => none,
  )
  const { meter, seen } = meterOf(traffic)
  meter.spend(1_000)
  meter.close()
  clock.advance(1_000_000)
  t.is(seen.resumed, 0)
})

test('fifty senders at a fixed rate stay within 3 % of it', t => {
  const clock = new FakeClock()
  const traffic = new Traffic(
    clock,
    () => ({ bytesPerSecond: 100_000, bytesPerDay: null }),
    () => none,
  )
  const peers = Array.from({ length: 50 }, () => generateKeyPair().id)
  const startedAt = clock.now()
  for (const sender of peers) {
    const resume = () => {
      while (meter.spend(16_384));
    }
    const meter = traffic.meter(sender, { resume, over: () => undefined })
    resume()
  }
  clock.advance(60_000)
  const seconds = (clock.now() - startedAt) / 1000
  const wanted = peers.length * (seconds + 1) * 100_000
  t.true(Math.abs(traffic.bytes / wanted - 1) < 0.03, `${traffic.bytes / wanted}`)
})
