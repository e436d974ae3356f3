import test from 'ava'
import { FINDING_CODES, finding } from '../../../../agent/control/doctor/finding.ts'
import { formatDoctor } from '../../../../agent/control/format-doctor.ts'
import { sentence, wrap } from '../../../../agent/control/text-layout.ts'
import { SAMPLE_REPORT } from './sample-report.ts'

test('shows by chapter what is wrong, what could be better, and what that would gain', t => {
  t.is(
    formatDoctor(SAMPLE_REPORT, { width: 80, colour: false }),
    `This device
  ok       /etc/culvert/agent.json is valid.

Relays
  PROBLEM  https://relay.example.org: it takes no connection: ECONNREFUSED.
           > Check that the relay runs.

Network
  note     The router here refused TCP port 41822 (UPnP error 606).
           > Allow that in the router, or forward TCP 41822 and UDP 41823 to
           192.168.1.20 in it: then laptop connects directly.

Peers
  note     laptop: relayed: both routers use another outside port for every
           destination.
             in use: relay 203.0.113.9:443
             failed: tcp/punched: the NAT of the peer gives each destination
               another TCP port

1 problem; 2 things could be better.
`,
  )
})

test('every finding is shown, whatever its code', t => {
  for (const code of FINDING_CODES) {
    const page = formatDoctor({ ...SAMPLE_REPORT, findings: [finding(code, 'note', 'so it is')] })
    t.is(page.split('So it is.').length, 2, code)
  }
})

test('fits a narrow terminal', t => {
  for (const line of formatDoctor(SAMPLE_REPORT, { width: 44, colour: false }).split('\n'))
    t.true(line.length <= 44, line)
})

test('no text of a report drives the terminal', t => {
  const evil = '\u001b[2J\u009b2J\u200f\n'
  const json = JSON.stringify(SAMPLE_REPORT, (_key, value: unknown) =>
    typeof value === 'string' && value.includes(' ') ? value + evil : value,
  )
  t.notRegex(formatDoctor(JSON.parse(json) as typeof SAMPLE_REPORT).replaceAll('\n', ' '), /[\p{Cc}\u200f]/u)
})

test('texts become sentences, but names and protocols keep their case', t => {
  t.deepEqual(['the router', '/etc/x is valid', 'tcp/lan failed', 'no way!'].map(sentence), [
    'The router.',
    '/etc/x is valid.',
    'tcp/lan failed.',
    'No way!',
  ])
})

test('breaks lines at spaces, and long words nowhere', t => {
  t.is(wrap('one two three', 7, '  '), 'one two\n  three')
  t.is(wrap('abcdefghij k', 4, ''), 'abcdefghij\nk')
})

test('a path that nothing comes over is not told as in use, and the ways that failed are', t => {
  const [peer] = SAMPLE_REPORT.peers
  if (!peer?.path) return t.fail('no peer with a path')
  const ways = [{ way: 'tcp/punched 198.51.100.7:9', result: 'failed', reason: 'nothing came over it lately' } as const]
  const path = { ...peer.path, kind: 'tcp', transport: 'tcp', how: 'punched', remote: '198.51.100.7:9' } as const
  const page = formatDoctor({ ...SAMPLE_REPORT, peers: [{ ...peer, path, ways }] })
  t.notRegex(page, /in use/)
  t.regex(page, /failed: tcp\/punched 198\.51\.100\.7:9: nothing came over it lately/)
})
