import test from 'ava'
import { formatBytes, formatDuration, formatPath, formatStatus } from '../../../../agent/control/format-status.ts'
import { formatTable } from '../../../../agent/control/text-table.ts'
import { SAMPLE_STATUS } from './sample-status.ts'

test('shows the whole agent on one page', t => {
  t.is(
    formatStatus(SAMPLE_STATUS),
    `attic  ${'a'.repeat(52)}
culvert 0.1.0, up 3 h 12 min; 3 peers: 2 direct, 1 offline

RELAY                      STATE       RTT
https://relay.example.org  connected   21 ms
https://b.example.org      connecting  -
    No answer in 5 s.

NAT  MAPPING               FILTERING                   OUTSIDE
UDP  endpoint-independent  address-and-port-dependent  203.0.113.5:4000
TCP  unknown                                           -
Port mapping: tcp 203.0.113.5:4001 (upnp, not yet seen to work); the router gave another port

Network nnnnnnnnnn: 3 members; this device is an admin.

PEER    STATE      PATH                                    RTT     SINCE  STREAMS  IN      OUT    ROLES
laptop  connected  tcp lan 192.168.1.7:4000                3.1 ms  9 s    2        1.2 MB  345 B  admin, family
phone   connected  udp/datachannel punched 198.51.100.7:9  46 ms   2 min  0        0 B     0 B
    Their router keeps TCP out.
    > Turn on UPnP there.
tv      offline    -                                       -       -      0        0 B     0 B
    Not connected to any relay.

CARRIED FOR  TO      BYTES   SINCE
attic        laptop  900 kB  40 s
Carries for peers: 1.2 MB of 5 GB in 24 h; at most 10 Mbit/s, 16 pipes

${'e'.repeat(52)} called 5 s ago and is not in "peers": if it is yours, add it there.

SERVICE  TARGET
ssh      tcp://127.0.0.1:22

FORWARD               TO          STATE
tcp://127.0.0.1:2222  laptop/ssh  listening
    The last use failed 1 min ago: nobody is there.
`,
  )
})

test('what was seen of the NAT long ago is told with its age', t => {
  const at = (seenAgoS: number | null) => formatStatus({ ...SAMPLE_STATUS, nat: { ...SAMPLE_STATUS.nat, seenAgoS } })
  t.regex(at(3 * 3600), /Seen 3 h 0 min ago; no STUN server answers now\./)
  for (const seenAgoS of [null, 600]) t.notRegex(at(seenAgoS), /no STUN server answers/)
})

test('leaves out on a narrow page what can be spared, and stacks rows on one that is narrower still', t => {
  const linesAt = (width: number) => formatStatus(SAMPLE_STATUS, { width, colour: false }).split('\n')
  for (const width of [120, 100, 80, 64]) {
    for (const line of linesAt(width)) t.true(line.length <= width, `${width}: ${line}`)
  }
  t.true(linesAt(80).includes('PEER    STATE      PATH                                    RTT     IN      OUT'))
  t.true(linesAt(60).includes('PEER    STATE      PATH'))
  const phone = linesAt(40).indexOf('phone')
  t.deepEqual(linesAt(40).slice(phone, phone + 6), [
    'phone',
    '  state    connected',
    '  path     udp/datachannel punched 198.51.100.7:9',
    '  rtt      46 ms',
    '  since    2 min',
    '    Their router keeps TCP out.',
  ])
})

test('colours tell good from bad, and change no column', t => {
  const coloured = formatStatus(SAMPLE_STATUS, { width: 100, colour: true })
  t.true(coloured.includes('laptop  \u001b[32mconnected\u001b[0m  tcp lan'))
  t.true(coloured.includes('tv      \u001b[2moffline\u001b[0m    -'))
  const [first, ...parts] = coloured.split('\u001b[')
  const bare = [first, ...parts.map(part => part.slice(part.indexOf('m') + 1))].join('')
  t.is(bare, formatStatus(SAMPLE_STATUS, { width: 100, colour: false }))
})

test('a name with control characters cannot forge a row', t => {
  t.is(formatTable([{ title: 'A' }], [['x\n\u001b[2Jy\u202e']]), 'A\nx [2Jy\n')
  t.is(formatTable([{ title: 'A' }], [['x\u061cy\u200ez\u200f']]), 'A\nx y z\n')
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

test('a table without rows is nothing', t => t.is(formatTable([{ title: 'A' }], []), ''))

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
  t.is(formatPath({ kind: 'relay', transport: 'pipe', how: 'relay', remote: null, via: null }), 'relay')
  t.is(formatPath({ kind: 'relay', transport: 'pipe', how: 'relay', remote: null, via: 'attic' }), 'relay attic')
  t.is(
    formatPath({ kind: 'udp', transport: 'udx', how: 'mapped', remote: '[2001:db8::1]:1', via: null }),
    'udp/udx mapped [2001:db8::1]:1',
  )
})
