import test from 'ava'
import { Allowance } from '../../../../../agent/rendezvous/lan/allowance.ts'
import {
  announceDelayMs,
  answerDelayMs,
  queryDelayMs,
  renameDelayMs,
  reopenDelayMs,
} from '../../../../../agent/rendezvous/lan/lan-schedule.ts'
import { encodeLanAnnouncement, encodeLanQuery, LAN_TTL_S } from '../../../../../common/wire/lan-announcement.ts'
import { ANNOUNCEMENT } from '../../../../vectors/lan.ts'
import { FakeClock } from '../../../fake-clock.ts'

test('who comes says so six times, ever further apart; new names are said once', t => {
  t.deepEqual(
    [0, 1, 2, 3, 4, 5, 6].map(said => announceDelayMs(said, false)),
    [0, 1_000, 2_000, 4_000, 8_000, 16_000, undefined],
  )
  t.deepEqual([announceDelayMs(0, true), announceDelayMs(1, true)], [0, undefined])
})

test('questions get rarer up to one in an hour', t => {
  t.deepEqual(
    [0, 1, 2, 3, 10, 40].map(asked => queryDelayMs(asked, 0)),
    [0, 1_000, 2_000, 4_000, 512_000, 3_600_000],
  )
  t.is(queryDelayMs(1, 1), 1_100)
})

test('a socket that failed is opened again after a second, and ever later up to a minute', t => {
  t.deepEqual([1, 2, 3, 20].map(reopenDelayMs), [1_000, 2_000, 4_000, 60_000])
})

test('answers to all come 20 to 120 ms later (RFC 6762, section 6)', t => {
  t.deepEqual([answerDelayMs(0), answerDelayMs(1)], [20, 120])
})

test('two announcements of new names may be lost before a peer is forgotten', t => {
  t.true(2 * renameDelayMs(1) < LAN_TTL_S * 1_000)
})

test('an idle agent says less than 70 kB a day on a link with both IP versions', t => {
  const daysMinutes = 24 * 60
  // With the headers of Ethernet, and of UDP over IPv4 and IPv6.
  const headers = 14 + 28 + 14 + 48
  const announcements = (daysMinutes * 60_000) / renameDelayMs(0.5)
  const said = announcements * (2 * encodeLanAnnouncement(ANNOUNCEMENT).length + headers)
  const asked = 24 * (2 * encodeLanQuery([{ instance: ANNOUNCEMENT.instance, ttlS: 2_000 }]).length + headers)
  t.true(said + asked < 70_000, `${said + asked} bytes`)
})

test('an allowance is spent at once and comes back by the minute, up to what it was', t => {
  const clock = new FakeClock()
  const allowance = new Allowance(clock, 100, 60)
  t.true(allowance.take(100))
  t.false(allowance.take(1))
  clock.advance(1_000)
  t.true(allowance.take(1))
  t.false(allowance.take(1))
  clock.advance(3_600_000)
  t.true(allowance.take(100))
  t.false(allowance.take(1))
})
