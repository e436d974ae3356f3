import test from 'ava'
import { parseDefaultGateways, parseDefaultGateways6 } from '../../../../agent/nat/default-gateway.ts'
import { NetworkWatch, networkEvents } from '../../../../agent/nat/network-watch.ts'
import type { InterfaceAddress } from '../../../../common/platform/network-interfaces.ts'
import { FakeClock } from '../../fake-clock.ts'

const look = { addresses: 'eth0 10.0.0.2/24', gateways: 'eth0 10.0.0.1', now: 0, wallOffset: 1000 }

test('a changed address, a changed router and a sleep are told apart', t => {
  t.deepEqual(networkEvents(look, { ...look, now: 2000 }), [])
  t.deepEqual(networkEvents(look, { ...look, addresses: '' }), ['addresses'])
  t.deepEqual(networkEvents(look, { ...look, gateways: 'eth0 10.0.0.254' }), ['gateway'])
  t.deepEqual(networkEvents(look, { ...look, wallOffset: 62_000 }), ['woke'])
  t.deepEqual(networkEvents(look, { ...look, now: 60_000 }), ['woke'])
})

test('a clock that is set back or corrected a little is no sleep', t => {
  t.deepEqual(networkEvents(look, { ...look, wallOffset: -5_000_000 }), [])
  t.deepEqual(networkEvents(look, { ...look, wallOffset: 4000 }), [])
})

test('the watch tells a new address within two seconds, says nothing of containers, and stops', t => {
  const clock = new FakeClock()
  const entry = { interfaceName: 'eth0', address: '10.0.0.2', family: 4, prefixLength: 24, loopback: false } as const
  let addresses: readonly InterfaceAddress[] = [entry]
  const events: string[] = []
  const watch = new NetworkWatch({
    clock,
    interfaces: () => addresses,
    gateways: () => [],
    onEvent: event => events.push(event),
  })
  addresses = [entry, { ...entry, interfaceName: 'docker0', address: '172.17.0.1' }]
  clock.advance(2000)
  t.deepEqual(events, [])
  addresses = [{ ...entry, address: '10.0.0.3' }]
  clock.advance(2000)
  t.deepEqual(events, ['addresses'])
  clock.jumpWall(3_600_000)
  clock.advance(2000)
  t.deepEqual(events, ['addresses', 'woke'])
  watch.close()
  t.is(clock.timers, 0)
})

test('default gateways are read from the routing table, the lowest metric first', t => {
  const table = [
    'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
    'wlan0\t00000000\tFE01A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0',
    'eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0',
    'eth0\t0000000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0',
    'tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0',
    'eth1\t00000000\t0200000A\t0002\t0\t0\t1\t00000000\t0\t0\t0',
    'garbage',
    '',
  ].join('\n')
  t.deepEqual(parseDefaultGateways(table), [
    { interfaceName: 'eth0', address: '10.0.0.1' },
    { interfaceName: 'wlan0', address: '192.168.1.254' },
  ])
  t.deepEqual(parseDefaultGateways(''), [])
})

test('IPv6 default gateways are read from the kernel, link-local ones with their interface', t => {
  const none = '0'.repeat(32)
  const table = `20010db8000100010000000000000000 40 ${none} 00 ${none} 00000100 00000003 00000000 00000001     eth0
${none} 00 ${none} 00 fe80000000000000021122fffe334455 00000401 00000001 00000000 00450003    wlan0
${none} 00 ${none} 00 20010db8000100010000000000000001 00000400 00000001 00000000 00000003     eth0
${none} 00 ${none} 00 ${none} ffffffff 00000001 00000000 00200200       lo
`
  t.deepEqual(parseDefaultGateways6(table), [
    { interfaceName: 'eth0', address: '2001:db8:1:1::1' },
    { interfaceName: 'wlan0', address: 'fe80::211:22ff:fe33:4455%wlan0' },
  ])
  t.deepEqual(parseDefaultGateways6(''), [])
})
