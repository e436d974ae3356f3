import test from 'ava'
import { type CandidateSources, candidatesOf, withOutside } from '../../../../agent/nat/candidates.ts'
import { formatCandidate } from '../../../../common/wire/candidate.ts'

const NOTHING: CandidateSources = { addresses: [], tcpPort: 4000, mapped: { tcp: null, udp: null }, open: undefined }
const at = (interfaceName: string, address: string) => ({
  interfaceName,
  address,
  family: address.includes(':') ? (6 as const) : (4 as const),
  prefixLength: address.includes(':') ? 64 : 24,
  loopback: interfaceName === 'lo',
})
const texts = (sources: Partial<CandidateSources>) =>
  candidatesOf({ ...NOTHING, ...sources }).map(candidate => formatCandidate(candidate))

test('every address has its place: LAN first, then public, IPv6, mapped; container bridges last, loopback never', t => {
  const found = texts({
    addresses: [
      at('lo', '127.0.0.1'),
      at('docker0', '172.17.0.1'),
      at('br-0123456789ab', '172.18.0.1'),
      at('eth0', '2001:db8::5'),
      at('eth0', 'fd00::5'),
      at('eth1', '198.51.100.7'),
      at('wwan0', '100.64.1.2'),
      at('usb0', '169.254.3.4'),
      at('br-lan', '192.168.1.1'),
    ],
    mapped: { tcp: { address: '203.0.113.9', port: 5000 }, udp: { address: '203.0.113.9', port: 5001 } },
  })
  t.deepEqual(found, [
    'tcp/lan [fd00::5]:4000',
    'tcp/lan 100.64.1.2:4000',
    'tcp/lan 192.168.1.1:4000',
    'tcp/public 198.51.100.7:4000',
    'tcp/ipv6 [2001:db8::5]:4000',
    'tcp/mapped 203.0.113.9:5000',
    'udp/mapped 203.0.113.9:5001',
    'tcp/lan 169.254.3.4:4000',
    'tcp/lan 172.17.0.1:4000',
    'tcp/lan 172.18.0.1:4000',
  ])
})

test('a machine with nothing but loopback offers loopback', t => {
  t.deepEqual(texts({ addresses: [at('lo', '127.0.0.1'), at('lo', '::1')] }), [
    'tcp/lan 127.0.0.1:4000',
    'tcp/lan [::1]:4000',
  ])
})

test('UDP addresses are told only when a socket of ours is there', t => {
  t.deepEqual(texts({ addresses: [at('eth0', '10.0.0.2')], udpPort: 4001 }), [
    'tcp/lan 10.0.0.2:4000',
    'udp/lan 10.0.0.2:4001',
  ])
})

test('an address in a tunnel comes after the others, and UDP over it after what others see of us', t => {
  const addresses = [at('nebula', '10.99.0.1'), at('tailscale0', '100.90.1.2'), at('eth0', '198.51.100.7')]
  t.deepEqual(texts({ addresses, udpPort: 4001 }), [
    'tcp/public 198.51.100.7:4000',
    'udp/public 198.51.100.7:4001',
    'tcp/lan 10.99.0.1:4000',
    'udp/punched 10.99.0.1:4001',
    'tcp/lan 100.90.1.2:4000',
    'udp/punched 100.90.1.2:4001',
  ])
})

test('a mapping to a public address of our own is told once', t => {
  const own = { address: '198.51.100.7', port: 4000 }
  t.deepEqual(texts({ addresses: [at('eth0', '198.51.100.7')], mapped: { tcp: own, udp: null } }), [
    'tcp/public 198.51.100.7:4000',
  ])
})

test('many addresses of one sort do not crowd out the mapping, and there are never more than 32', t => {
  const sorts = ['10.0.0.', '198.51.100.', '172.17.0.', '169.254.0.']
  const names = ['eth0', 'eth1', 'docker0', 'eth3']
  const addresses = sorts.flatMap((prefix, i) =>
    Array.from({ length: 40 }, (_, n) => at(names[i] ?? '', `${prefix}${n + 1}`)),
  )
  addresses.push(...Array.from({ length: 40 }, (_, n) => at('eth0', `2001:db8::${n + 1}`)))
  const found = texts({ addresses, mapped: { tcp: { address: '203.0.113.9', port: 1 }, udp: null }, udpPort: 4001 })
  t.is(found.length, 32)
  t.true(found.includes('tcp/mapped 203.0.113.9:1'))
})

test('the outside endpoint of our UDP port joins them, once', t => {
  const known = candidatesOf({ ...NOTHING, addresses: [at('eth0', '10.0.0.2')], udpPort: 4001 })
  t.is(withOutside(known, undefined), known)
  t.is(withOutside(known, { address: '10.0.0.2', port: 4001 }), known)
  const joined = withOutside(known, { address: '203.0.113.9', port: 4001 })
  t.is(joined.at(-1)?.how, 'punched')
  t.is(joined.length, known.length + 1)
})

test('a port that is open between two NATs is told behind those that are open to all', t => {
  const mapped = { tcp: { address: '198.51.100.7', port: 4000 }, udp: null }
  const between = { address: '100.64.3.4', tcp: { address: '100.64.3.4', port: 4000 }, udp: undefined }
  t.deepEqual(texts({ mapped, between }), ['tcp/mapped 198.51.100.7:4000', 'tcp/mapped 100.64.3.4:4000'])
  t.deepEqual(texts({ between, udpPort: 4001 }), ['tcp/mapped 100.64.3.4:4000', 'udp/punched 100.64.3.4:4001'])
})
