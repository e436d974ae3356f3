import test from 'ava'
import {
  formatBytes,
  formatDuration,
  formatPath,
  formatStatus,
  formatTable,
} from '../../../../agent/control/format-status.ts'
import { SAMPLE_STATUS } from './sample-status.ts'

test('shows the whole agent on one page', t => {
  t.is(
    formatStatus(SAMPLE_STATUS),
    `attic  ${'a'.repeat(52)}
culvert 0.1.0, up 3 h 12 min

RELAY                      STATE       RTT
https://relay.example.org  connected   21 ms
https://b.example.org      connecting  -      no answer in 5 s

NAT  MAPPING               FILTERING                   OUTSIDE
UDP  endpoint-independent  address-and-port-dependent  203.0.113.5:4000
TCP  unknown                                           -
Port mapping: tcp 203.0.113.5:4001 (upnp, not yet seen to work); the router gave another port

PEER    STATE      PATH                                    RTT     SINCE  STREAMS  IN      OUT
laptop  connected  tcp lan 192.168.1.7:4000                3.1 ms  9 s    2        1.2 MB  345 B
phone   connected  udp/datachannel punched 198.51.100.7:9  46 ms   2 min  0        0 B     0 B
    their router keeps TCP out
    turn on UPnP there
tv      offline    -                                       -       -      0        0 B     0 B
    not connected to any relay

SERVICE  TARGET
ssh      tcp://127.0.0.1:22

FORWARD               TO          STATE
tcp://127.0.0.1:2222  laptop/ssh  listening
`,
  )
})

test('a name with control characters cannot forge a row', t => {
  t.is(formatTable(['A'], [['x\n\u001b[2Jy\u202e']]), 'A\nx [2Jy\n')
  t.is(formatTable(['A'], [['x\u061cy\u200ez\u200f']]), 'A\nx y z\n')
})

test('no text of a status drives the terminal', t => {
  const evil = '\u001b[2J\u009b2J\u200f\n'
  const json = JSON.stringify(SAMPLE_STATUS, (_key, value: unknown) =>
    typeof value === 'string' ? value + evil : value,
  )
  const page = formatStatus(JSON.parse(json) as typeof SAMPLE_STATUS)
  t.notRegex(page.replaceAll('\n', ' '), /[\p{Cc}\u200f]/u)
  t.is(page.split('\n').length, formatStatus(SAMPLE_STATUS).split('\n').length + 1)
})

test('a table without rows is nothing', t => t.is(formatTable(['A'], []), ''))

test('tells durations in at most two units', t => {
  t.deepEqual([0, 59.9, 60, 3599, 3600, 90_061].map(formatDuration), [
    '0 s',
    '59 s',
    '1 min',
    '59 min',
    '1 h 0 min',
    '1 d 1 h',
  ])
})

test('tells bytes in decimal units', t => {
  t.deepEqual([0, 999, 1000, 99_900, 999_999, 4_500_000_000].map(formatBytes), [
    '0 B',
    '999 B',
    '1.0 kB',
    '99.9 kB',
    '1.0 MB',
    '4.5 GB',
  ])
})

test('tells a path by kind, transport, how and where', t => {
  t.is(formatPath(null), '-')
  t.is(formatPath({ kind: 'relay', transport: 'pipe', how: 'relay', remote: null }), 'relay')
  t.is(
    formatPath({ kind: 'udp', transport: 'udx', how: 'mapped', remote: '[2001:db8::1]:1' }),
    'udp/udx mapped [2001:db8::1]:1',
  )
})
