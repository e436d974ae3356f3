import test from 'ava'
import { isOnLink, lanLinks, reachedFrom } from '../../../../../agent/rendezvous/lan/lan-links.ts'
import type { InterfaceAddress } from '../../../../../common/platform/network-interfaces.ts'

const at = (interfaceName: string, address: string, prefixLength = 24): InterfaceAddress => ({
  interfaceName,
  address,
  family: address.includes(':') ? 6 : 4,
  prefixLength,
  loopback: interfaceName === 'lo',
})
const names = (addresses: readonly InterfaceAddress[], linkLocal: readonly string[] = []) =>
  lanLinks(addresses, new Map(linkLocal.map(name => [name, 'fe80::7']))).map(({ interfaceName }) => interfaceName)

test('a home network is spoken on, be it IPv4, IPv6 or both', t => {
  t.deepEqual(names([at('eth0', '192.168.1.10')], ['eth0', 'wlan0']), ['eth0', 'wlan0'])
  t.deepEqual(names([at('br-lan', '10.0.0.1')]), ['br-lan'])
  t.deepEqual(names([at('eth0', '169.254.9.9', 16)]), ['eth0'])
})

test('tunnels, container bridges, loopback and lines to a provider are left in peace', t => {
  t.deepEqual(
    names(
      [
        at('lo', '127.0.0.1', 8),
        at('docker0', '172.17.0.1', 16),
        at('wg0', '10.8.0.2'),
        at('tailscale0', '100.100.1.1', 32),
        at('eth0', '198.51.100.7'),
        at('wwan0', '100.70.1.1'),
      ],
      ['docker0', 'wg0', 'eth0', 'wwan0', 'veth12'],
    ),
    [],
  )
})

test('what is announced are addresses that mean something to a neighbour, few of them', t => {
  const six = [at('eth0', '2001:db8::1', 64), at('eth0', 'fd00::1', 64)]
  const four = [at('eth0', '192.168.1.10'), at('eth0', '192.168.2.10'), at('eth0', '192.168.3.10')]
  const [link] = lanLinks([...six, ...four], new Map([['eth0', 'fe80::7']]))
  t.deepEqual(link?.addresses, ['192.168.1.10', '192.168.2.10', 'fe80::7', 'fd00::1'])
})

test('only a machine of the same link is on it', t => {
  const [link] = lanLinks([at('eth0', '192.168.1.10')], new Map([['eth0', 'fe80::7']]))
  if (!link) throw new Error('there is one')
  t.true(isOnLink('192.168.1.255', link))
  t.false(isOnLink('192.168.2.1', link))
  t.false(isOnLink('8.8.8.8', link))
  t.true(isOnLink('fe80::1%eth0', link))
  t.false(isOnLink('fe80::1%eth1', link))
  t.false(isOnLink('fe80::1', link))
  t.false(isOnLink('2001:db8::1', link))
})

test('an announced address is dialled if it can be in a home: link-local ones on the link they came over', t => {
  const [link] = lanLinks([at('eth0', '192.168.1.10')], new Map([['eth0', 'fe80::7']]))
  if (!link) throw new Error('there is one')
  const cases = [
    '192.168.7.1',
    'fe80::1',
    'fe80::7',
    'fd00::1',
    '8.8.8.8',
    '127.0.0.1',
    '::1',
    '2001:db8::1',
    '100.64.1.1',
  ]
  t.deepEqual(
    cases.map(address => reachedFrom(address, link)),
    ['192.168.7.1', 'fe80::1%eth0', undefined, 'fd00::1', ...new Array(5).fill(undefined)],
  )
})
