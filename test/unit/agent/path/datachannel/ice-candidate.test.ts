import test from 'ava'
import {
  formatCandidate,
  mappedCandidate,
  parseCandidate,
} from '../../../../../agent/path/datachannel/ice-candidate.ts'
import { mutateBytes, seededDraw } from '../../../mutate.ts'

const line = (address: string, { transport = 'UDP', component = 1, port = '4000', type = 'host', tail = '' } = {}) =>
  `a=candidate:1 ${component} ${transport} 2114977791 ${address} ${port} typ ${type}${tail}`

test('a candidate loses the address behind its NAT and keeps the rest', t => {
  const parsed = parseCandidate(line('198.51.100.7', { type: 'srflx', tail: ' raddr 192.168.1.10 rport 4000' }), false)
  t.deepEqual(parsed, {
    type: 'srflx',
    priority: 2114977791,
    endpoint: { address: '198.51.100.7', port: 4000 },
    mapped: false,
  })
  t.is(parsed && formatCandidate(parsed), 'a=candidate:srflx4 1 UDP 2114977791 198.51.100.7 4000 typ srflx')
})

test('a written candidate reads as itself', t => {
  for (const address of ['192.0.2.1', '2001:db8::5']) {
    const candidate = mappedCandidate({ address, port: 7 })
    t.deepEqual(parseCandidate(formatCandidate(candidate), false), candidate)
  }
})

test('the mapped candidate stands between host and reflexive ones', t => {
  const { priority } = mappedCandidate({ address: '192.0.2.1', port: 7 })
  t.true(priority < 126 * 2 ** 24 && priority > 101 * 2 ** 24)
})

for (const [what, text] of [
  ['a name', line('f2c9a1.local')],
  ['TCP', line('192.0.2.1', { transport: 'TCP', tail: ' tcptype active' })],
  ['RTCP', line('192.0.2.1', { component: 2 })],
  ['a relayed address', line('192.0.2.1', { type: 'relay' })],
  ['multicast', line('224.0.0.251')],
  ['IPv6 multicast', line('ff02::1')],
  ['the unspecified address', line('0.0.0.0')],
  ['the unspecified IPv6 address', line('::')],
  ['broadcast', line('255.255.255.255')],
  ['link-local IPv6', line('fe80::1')],
  ['loopback', line('127.0.0.1')],
  ['IPv6 loopback', line('::1')],
  ['mapped loopback', line('::ffff:127.0.0.1')],
  ['port 0', line('192.0.2.1', { port: '0' })],
  ['port 65536', line('192.0.2.1', { port: '65536' })],
  ['too many digits', line('1.2.3.4.5')],
  ['nothing', ''],
  ['a long line', line('192.0.2.1', { tail: ` x ${'y'.repeat(300)}` })],
] as const) {
  test(`${what} is no candidate`, t => {
    t.is(parseCandidate(text, false), undefined)
  })
}

test('loopback is a candidate for a socket that is bound to it', t => {
  t.is(parseCandidate(line('127.0.0.1'), true)?.endpoint.address, '127.0.0.1')
})

test('whatever a peer writes, what we pass on is one line of our own form', t => {
  const draw = seededDraw(11)
  const original = Buffer.from(line('198.51.100.7', { type: 'srflx', tail: ' raddr 192.168.1.10 rport 4000' }))
  let read = 0
  for (let i = 0; i < 20_000; i++) {
    const candidate = parseCandidate(mutateBytes(original, draw, 400).toString('latin1'), false)
    if (!candidate) continue
    read++
    t.regex(
      formatCandidate(candidate),
      /^a=candidate:(?:host|srflx|mapped)[46]? 1 UDP \d+ [0-9A-Fa-f.:]+ \d+ typ (?:host|srflx)$/,
    )
  }
  t.true(read > 1000)
})
