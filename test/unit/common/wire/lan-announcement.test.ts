import test from 'ava'
import { decodeDns, MAX_DNS_BYTES } from '../../../../common/wire/dns-message.ts'
import {
  encodeLanAnnouncement,
  encodeLanQuery,
  LAN_TTL_S,
  lanAnnouncementsOf,
  lanQuestionOf,
} from '../../../../common/wire/lan-announcement.ts'
import { fromHex } from '../../../vectors/keys.ts'
import { ANNOUNCEMENT, ANNOUNCEMENT_HEX, QUERY_HEX } from '../../../vectors/lan.ts'

const malformed = { code: 'wire-malformed' }

test('an announcement is these bytes, and read back from them', t => {
  const bytes = encodeLanAnnouncement(ANNOUNCEMENT)
  t.is(bytes.toString('hex'), ANNOUNCEMENT_HEX)
  t.deepEqual(lanAnnouncementsOf(decodeDns(bytes)), [{ announcement: ANNOUNCEMENT, ttlS: LAN_TTL_S }])
})

test('a query is these bytes, and tells what its asker knows', t => {
  const bytes = encodeLanQuery([{ instance: ANNOUNCEMENT.instance, ttlS: 2_000 }])
  t.is(bytes.toString('hex'), QUERY_HEX)
  const asked = lanQuestionOf(decodeDns(bytes), ANNOUNCEMENT)
  t.deepEqual(asked, { id: 0, unicast: true, known: new Set([ANNOUNCEMENT.instance]) })
})

test('what an asker has known for long is told again (RFC 6762, section 7.1)', t => {
  const bytes = encodeLanQuery([{ instance: ANNOUNCEMENT.instance, ttlS: LAN_TTL_S / 2 - 1 }])
  t.is(lanQuestionOf(decodeDns(bytes), ANNOUNCEMENT)?.known.size, 0)
})

test('a reply to plain DNS repeats the question and its number', t => {
  const reply = decodeDns(encodeLanAnnouncement(ANNOUNCEMENT, { ttlS: 10, repliesTo: 77 }))
  t.is(reply.id, 77)
  t.deepEqual(
    reply.questions.map(({ name }) => name.join('.')),
    ['_culvert._tcp.local'],
  )
  t.is(lanAnnouncementsOf(reply)[0]?.ttlS, 10)
})

test('an instance or a host may be asked for by name, in any case, and others are no business of ours', t => {
  const query = (...labels: readonly string[]) => {
    const name = labels.map(label => String.fromCharCode(label.length) + label).join('')
    return Buffer.concat([fromHex('000000000001000000000000'), Buffer.from(`${name}\0`, 'latin1'), fromHex('00ff0001')])
  }
  const asked = (...labels: readonly string[]) => lanQuestionOf(decodeDns(query(...labels)), ANNOUNCEMENT) !== undefined
  t.true(asked('_Culvert', '_TCP', 'Local'))
  t.true(asked(ANNOUNCEMENT.instance.toUpperCase(), '_culvert', '_tcp', 'local'))
  t.true(asked(ANNOUNCEMENT.host, 'local'))
  t.false(asked('_ipp', '_tcp', 'local'))
  t.false(asked('local'))
})

test('an announcement that leaves anything out is none', t => {
  const whole = fromHex(ANNOUNCEMENT_HEX)
  const without = (type: string) => {
    const bytes = Buffer.from(whole)
    bytes.writeUInt8(99, bytes.indexOf(fromHex(type)) + 1)
    return lanAnnouncementsOf(decodeDns(bytes))
  }
  t.deepEqual(['000c0001', '00218001', '00108001'].flatMap(without), [])
  const noAddress = { ...ANNOUNCEMENT, addresses: [] }
  t.deepEqual(lanAnnouncementsOf(decodeDns(encodeLanAnnouncement(noAddress))), [])
  const odd = { ...ANNOUNCEMENT, instance: 'née' }
  t.deepEqual(lanAnnouncementsOf(decodeDns(encodeLanAnnouncement(odd))), [])
})

test('a name that points to itself or ahead, and a message too large or too full, are refused', t => {
  const header = '000000000001000000000000'
  t.throws(() => decodeDns(fromHex(`${header}c00c000c0001`)), malformed)
  t.throws(() => decodeDns(fromHex(`${header}c00e000c0001`)), malformed)
  t.throws(() => decodeDns(fromHex(`${header}0161c00c000c0001`)), malformed)
  t.throws(() => decodeDns(Buffer.alloc(MAX_DNS_BYTES + 1)), malformed)
  t.throws(() => decodeDns(fromHex('000084000000ffff00000000')), malformed)
})
