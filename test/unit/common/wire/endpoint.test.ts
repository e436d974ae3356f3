import test from 'ava'
import fc from 'fast-check'
import {
  addressScope,
  formatEndpoint,
  parseEndpoint,
  plainAddress,
  sameAddress,
  sameEndpoint,
} from '../../../../common/wire/endpoint.ts'

test('an endpoint is read as it was written', t => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: 1, max: 65535 }), (address, port) => {
      const parsed = parseEndpoint(formatEndpoint({ address, port }))
      t.deepEqual(parsed, { address, port })
      t.true(parsed && sameEndpoint(parsed, { address, port }))
    }),
    { seed: 1, numRuns: 500 },
  )
})

for (const text of [
  '',
  '192.0.2.1',
  '192.0.2.1:',
  '192.0.2.1:0',
  '192.0.2.1:080',
  '192.0.2.1:65536',
  '192.0.2.1:99999',
  '192.0.2.256:1',
  '192.0.2:1',
  '192.0.02.1:1',
  ' 192.0.2.1:1',
  '192.0.2.1:1\n',
  '[192.0.2.1]:1',
  '2001:db8::1:80',
  '[2001:db8::1]',
  '[2001:db8::1%eth0]:80',
  '[::::]:80',
  'localhost:80',
]) {
  test(`${JSON.stringify(text)} is no endpoint`, t => {
    t.is(parseEndpoint(text), undefined)
  })
}

test('an IPv4 address in an IPv6 one is shown plain', t => {
  t.is(plainAddress('::ffff:192.0.2.1'), '192.0.2.1')
  t.is(plainAddress('::FFFF:192.0.2.1'), '192.0.2.1')
  t.is(plainAddress('2001:db8::1'), '2001:db8::1')
})

for (const [scope, addresses] of Object.entries({
  loopback: ['127.0.0.1', '127.255.255.254', '::1', '::ffff:127.0.0.1', '::ffff:7f00:1'],
  private: ['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', 'fd00::1', '::ffff:10.0.0.1'],
  carrier: ['100.64.0.1', '100.127.255.255'],
  'link-local': ['169.254.1.1', 'fe80::1'],
  unusable: ['0.0.0.0', '224.0.0.251', '255.255.255.255', '::', 'ff02::1', 'localhost', '', '1.2.3'],
  public: ['1.1.1.1', '100.63.255.255', '100.128.0.0', '172.32.0.0', '2001:db8::1', '::ffff:1.1.1.1'],
})) {
  test(`${addresses.join(', ')}: ${scope}`, t => {
    for (const address of addresses) t.is(addressScope(address), scope as never, address)
  })
}

for (const [form, embed] of Object.entries({
  'IPv4-compatible': (a: number, b: number) => `::${a.toString(16)}:${b.toString(16)}`,
  'IPv4-mapped': (a: number, b: number) => `::ffff:${a.toString(16)}:${b.toString(16)}`,
  NAT64: (a: number, b: number) => `64:ff9b::${a.toString(16)}:${b.toString(16)}`,
  '6to4': (a: number, b: number) => `2002:${a.toString(16)}:${b.toString(16)}::1`,
})) {
  test(`an ${form} address has the scope of the IPv4 address in it`, t => {
    t.is(addressScope(embed(0x7f00, 1)), 'loopback')
    t.is(addressScope(embed(0xc0a8, 0x0107)), 'private')
    t.is(addressScope(embed(0x6440, 1)), 'carrier')
    t.is(addressScope(embed(0xa9fe, 0xa9fe)), 'link-local')
    t.is(addressScope(embed(0xe000, 0xfb)), 'unusable')
    t.is(addressScope(embed(0x0101, 0x0101)), 'public')
    t.is(addressScope(`${embed(0x7f00, 1)}%eth0`), 'loopback')
  })
}

test('an address that leads through a foreign tunnel is unusable', t => {
  t.is(addressScope('2001:0:4136:e378:8000:63bf:3fff:fdd2'), 'unusable', 'Teredo')
  t.is(addressScope('64:ff9b:1::7f00:1'), 'unusable', "a local NAT64's prefix")
  t.is(addressScope('2001:1::1'), 'public', 'the block next to Teredo')
})

test('an address is the same in whichever way it is written', t => {
  t.true(sameAddress('2001:db8::1', '2001:DB8:0:0::0001'))
  t.true(sameAddress('::ffff:192.0.2.1', '192.0.2.1'))
  t.false(sameAddress('2001:db8::1', '2001:db8::2'))
  t.false(sameAddress('192.0.2.1', '2001:db8::1'))
  t.false(sameAddress('fe80::1%eth0', 'fe80::1%eth1'))
  t.true(sameAddress('fe80::1%eth0', 'fe80::1%eth0'))
})
