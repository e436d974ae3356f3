import test from 'ava'
import { explain, type WhyInput } from '../../../../agent/session/why.ts'
import { CulvertError } from '../../../../common/errors.ts'

const nowhere = { local: undefined, remote: undefined }
const relayed = { kind: 'relay', transport: 'pipe', how: 'relay', ...nowhere } as const
const calm: WhyInput = {
  state: 'connected',
  path: relayed,
  faults: new Map(),
  trying: false,
  lastError: undefined,
  hasRelay: true,
  relayProblem: null,
  portMappingProblem: null,
  udpMapping: 'endpoint-independent',
}

for (const [how, words] of [
  ['lan', /^direct over TCP: both are on the same network$/],
  ['public', /^direct over TCP: one side has a public address$/],
  ['ipv6', /^direct over TCP: both have IPv6$/],
  ['mapped', /^direct over TCP: a router maps a port/],
  ['punched', /^direct over TCP: both routers let answers/],
] as const) {
  test(`a direct path by ${how} says so, and wants no remedy`, t => {
    const { why, remedy } = explain({ ...calm, path: { kind: 'tcp', transport: 'tcp', how, ...nowhere } })
    t.regex(why, words)
    t.is(remedy, null)
  })
}

test('a relayed path names the NAT at fault, and what was tried', t => {
  const faults = new Map([
    ['udp', 'no pair of addresses answered in 3000 ms'],
    ['tcp/lan 10.0.0.2:1', 'timed out'],
    ['tcp/public 192.0.2.1:1', 'refused'],
  ])
  for (const [udpMapping, words] of [
    ['blocked', /lets no UDP out/],
    ['address-and-port-dependent', /another outside port for every destination/],
    ['endpoint-independent', /on the other side/],
  ] as const) {
    const { why, remedy } = explain({ ...calm, faults, udpMapping })
    t.regex(why, words)
    t.regex(why, /UDP: no pair of addresses answered/)
    t.regex(why, /none of 2 addresses answered/)
    t.regex(remedy ?? '', /UPnP/)
  }
})

test('while the first race runs, nothing is blamed', t => {
  const { why, remedy } = explain({ ...calm, trying: true })
  t.is(why, 'relayed while direct paths are being tried')
  t.is(remedy, null)
})

test("the router's own problem is the first remedy, then a relay", t => {
  t.is(explain({ ...calm, portMappingProblem: 'turn UPnP on' }).remedy, 'turn UPnP on')
  t.is(explain({ ...calm, hasRelay: false }).remedy, 'add a relay under "relays"')
})

test('without a path, the state tells why, and what to do', t => {
  const pathless = { ...calm, path: undefined }
  t.regex(explain({ ...pathless, state: 'refused' }).remedy ?? '', /"peers" on the other side/)
  t.regex(explain({ ...pathless, state: 'offline' }).remedy ?? '', /start culvert there/)
  t.is(explain({ ...pathless, state: 'idle' }).remedy, null)
  t.is(explain({ ...pathless, state: 'connecting' }).why, 'a path is being made')
  const lastError = new CulvertError('relay-unreachable', 'relay r: no answer in 8000 ms')
  t.is(explain({ ...pathless, state: 'connecting', lastError }).why, lastError.message)
})
