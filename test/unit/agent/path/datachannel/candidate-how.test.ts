import test from 'ava'
import { type ChosenPair, howOf, localOf } from '../../../../../agent/path/datachannel/candidate-how.ts'
import type { Endpoint } from '../../../../../common/wire/endpoint.ts'

const at = (address: string, port = 4000): Endpoint => ({ address, port })
const base: ChosenPair = {
  remote: at('198.51.100.9'),
  outside: at('203.0.113.1', 5000),
  mapped: undefined,
  localHosts: [at('192.168.1.10'), at('2001:db8::10')],
  theirs: [],
}
const candidate = (type: 'host' | 'srflx', endpoint: Endpoint, mapped = false) => ({
  type,
  endpoint,
  mapped,
  priority: 1,
})

for (const [how, what, pair] of [
  ['lan', 'a private address', { remote: at('192.168.1.20') }],
  ['lan', 'a unique local IPv6 address', { remote: at('fd00::20') }],
  ['lan', 'loopback', { remote: at('127.0.0.1') }],
  ['ipv6', 'a public IPv6 address', { remote: at('2001:db8::20') }],
  ['mapped', 'the port mapping of the peer', { theirs: [candidate('srflx', at('198.51.100.9'), true)] }],
  ['mapped', 'our port mapping', { mapped: at('203.0.113.1', 5000) }],
  ['public', 'a public address of the peer', { theirs: [candidate('host', at('198.51.100.9'))] }],
  ['public', 'a public address of ours', { localHosts: [at('203.0.113.1', 5000)] }],
  ['punched', 'a NAT of the peer', { theirs: [candidate('srflx', at('198.51.100.9'))] }],
  ['punched', 'an address that nobody named', {}],
  ['punched', 'two carrier addresses', { remote: at('100.64.0.9') }],
  ['punched', 'our mapping, but not used', { mapped: at('203.0.113.1', 5001) }],
] as const) {
  test(`over ${what} a path is ${how}`, t => {
    t.is(howOf({ ...base, ...pair }), how)
  })
}

test('the local end is one of our own addresses, not what a NAT makes of it', t => {
  t.deepEqual(localOf({ local: at('203.0.113.1'), remote: at('198.51.100.9') }, base.localHosts), at('192.168.1.10'))
  t.deepEqual(localOf({ local: at('2001:db8::10'), remote: at('2001:db8::2') }, base.localHosts), at('2001:db8::10'))
  t.deepEqual(localOf({ local: at('203.0.113.1'), remote: at('198.51.100.9') }, []), at('203.0.113.1'))
})
