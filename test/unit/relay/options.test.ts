import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import type { InterfaceAddress } from '../../../common/platform/network-interfaces.ts'
import type { ServedCertificate } from '../../../relay/certificate-names.ts'
import { relayLine } from '../../../relay/main.ts'
import { formatOptionFault, parseRelayOptions, relayOptionsOf } from '../../../relay/options.ts'
import { RELAY_SCHEMA_FILE, relayConfigSchema } from '../../../relay/options-schema.ts'

const faultsOf = (value: unknown): readonly string[] => {
  const result = relayOptionsOf(value)
  return result.ok ? [] : result.faults.map(formatOptionFault)
}

test('the published schema is the one in the code (node scripts/config-schema.ts writes it)', t => {
  const published = readFileSync(join(import.meta.dirname, '../../..', RELAY_SCHEMA_FILE), 'utf8')
  t.deepEqual(JSON.parse(published) as unknown, JSON.parse(JSON.stringify(relayConfigSchema())))
})

test('an empty config is the defaults', t => {
  const result = parseRelayOptions('{}')
  t.like(result.ok && result.options, {
    listen: '[::]:8080',
    stun: { port: 3478 },
    admit: 'anyone',
    admin: null,
    stateDir: '/var/lib/culvert-relay',
    limits: { pipesPerPeer: 16, mbitPerPeer: 50, gbPerPeerPerDay: 20 },
    log: { level: 'info' },
  })
})

test('the example of the documentation is valid', t => {
  const example = {
    listen: '0.0.0.0:443',
    tls: { cert: '/etc/culvert/relay.crt', key: '/etc/culvert/relay.key' },
    stun: { addresses: ['203.0.113.5', '203.0.113.6'], port: 3478 },
    admit: 'anyone',
    limits: { pipesPerPeer: 16, mbitPerPeer: 50, gbPerPeerPerDay: 20 },
    admin: '127.0.0.1:9100',
  }
  t.deepEqual(faultsOf(example), [])
})

const faults: ReadonlyArray<readonly [value: unknown, fault: string]> = [
  [[], 'the file: [] is no object; write { ... }'],
  [{ listen: 8080 }, 'listen: 8080 is no IP address with a port; write for example "0.0.0.0:443"'],
  [{ listen: 'localhost:80' }, 'listen: "localhost:80" is no IP address with a port; write for example "0.0.0.0:443"'],
  [{ admin: '9100' }, 'admin: "9100" is no IP address with a port; write for example "127.0.0.1:9100"'],
  [{ tls: { cert: 'a' } }, 'tls.key: is missing; write the path of a file in quotes'],
  [
    { url: 'relay.example.org' },
    'url: "relay.example.org" is no http(s) URL without a path; write for example "https://relay.example.org"',
  ],
  [{ stun: true }, 'stun: true is neither false nor an object; write false or { "port": 3478 }'],
  [
    { stun: { port: 65535 } },
    'stun.port: 65535 is no whole number from 0 to 65534; write such a number, without quotes',
  ],
  [{ stun: { prt: 1 } }, 'stun.prt: "prt" is no known key; did you mean "port"?'],
  [
    { stun: { addresses: ['192.0.2.1', '::1', '192.0.2.2', '192.0.2.3'] } },
    'stun.addresses: ["192.0.2.1","::1","192.0.2.2","192.0.2.3"] are not at most two different addresses of each IP version; write up to two IPv4 and two IPv6 addresses',
  ],
  [{ stun: { addresses: ['host'] } }, 'stun.addresses[0]: "host" is no IP address; write for example "203.0.113.5"'],
  [{ admit: 'all' }, 'admit: "all" is neither "anyone" nor a list; write "anyone" or [ID, ...]'],
  [{ admit: ['abc'] }, 'admit[0]: "abc" is no peer id; write the 52 characters that "culvert id" prints'],
  [
    { limits: { pipesPerPeer: '16' } },
    'limits.pipesPerPeer: "16" is no whole number from 1 to 100000; write such a number, without quotes',
  ],
  [
    { limits: { mbitPerPeer: 0 } },
    'limits.mbitPerPeer: 0 is neither a number above 0 nor null; write such a number without quotes, or null for no limit',
  ],
  [{ limits: { pipePerPeer: 1 } }, 'limits.pipePerPeer: "pipePerPeer" is no known key; did you mean "pipesPerPeer"?'],
  [{ log: { level: 'loud' } }, 'log.level: "loud" is no log level; write one of error, warn, info, debug'],
  [{ lissten: '' }, 'lissten: "lissten" is no known key; did you mean "listen"?'],
]

for (const [value, fault] of faults) {
  test(`${JSON.stringify(value)} is a fault with its place, value and remedy`, t => {
    t.deepEqual(faultsOf(value), [fault])
  })
}

test('every fault is named at once', t => {
  t.is(faultsOf({ listen: 1, admin: 2, x: 3, limits: { pipes: 0, y: 4 } }).length, 5)
})

test('what is no JSON is a fault that shows where', t => {
  const result = parseRelayOptions('{\n  "listen": }')
  t.regex(result.ok ? '' : (result.faults[0]?.problem ?? ''), /is no JSON: Unexpected token '}'/)
})

test('the published schema has every option with its words', t => {
  const text = JSON.stringify(relayConfigSchema())
  for (const key of ['listen', 'tls', 'url', 'stun', 'admit', 'limits', 'admin', 'stateDir', 'log']) {
    t.true(text.includes(`"${key}":`), key)
  }
  t.true(text.includes('Pipes of one peer at a time.'))
})

type Names = Pick<ServedCertificate, 'subject' | 'subjectAltName'>

const address = (text: string, family: 4 | 6, loopback = false) => {
  return { interfaceName: 'x', address: text, family, prefixLength: 24, loopback }
}

test('the line for agents names the url, else a host on the certificate, else the most public address', t => {
  const all = [
    address('127.0.0.1', 4, true),
    address('192.168.1.2', 4),
    address('2001:db8::5', 6),
    address('203.0.113.5', 4),
  ]
  const at = (address: string, port: number, interfaces: readonly InterfaceAddress[], certificate?: Names) => {
    return { http: { address, port }, interfaces, certificate }
  }
  const none = { url: undefined }
  t.is(relayLine(none, 'ID', at('::', 8080, all)), '{ "url": "http://203.0.113.5:8080", "id": "ID" }')
  const noPublic4 = all.slice(0, 3)
  t.is(relayLine(none, 'ID', at('::', 8080, noPublic4)), '{ "url": "http://[2001:db8::5]:8080", "id": "ID" }')
  t.is(relayLine(none, 'ID', at('0.0.0.0', 8080, noPublic4)), '{ "url": "http://192.168.1.2:8080", "id": "ID" }')
  const url = 'https://r.example'
  const certificate = { subject: 'CN=x.example', subjectAltName: 'DNS:*.example.org, DNS:relay.example.org' }
  t.is(relayLine({ url }, 'ID', at('::', 8080, all, certificate)), '{ "url": "https://r.example", "id": "ID" }')
  t.is(relayLine(none, 'ID', at('127.0.0.1', 5, [])), '{ "url": "http://127.0.0.1:5", "id": "ID" }')
  t.is(relayLine(none, 'ID', at('::', 443, all, certificate)), '{ "url": "https://relay.example.org", "id": "ID" }')
  t.is(
    relayLine(none, 'ID', at('::', 8443, all, certificate)),
    '{ "url": "https://relay.example.org:8443", "id": "ID" }',
  )
})
