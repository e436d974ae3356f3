import test from 'ava'
import { natReport } from '../../../../agent/nat/nat-report.ts'
import { NO_PORT_MAPPING } from '../../../../agent/nat/port-mapping-report.ts'
import { situationOf } from '../../../../agent/nat/situation.ts'
import type { InterfaceAddress } from '../../../../common/platform/network-interfaces.ts'

const OUTSIDE = { address: '198.51.100.7', port: 9 }
const EASY = { mapping: 'endpoint-independent', filtering: 'unknown', address: OUTSIDE } as const
const at = (interfaceName: string, address: string): InterfaceAddress => ({
  interfaceName,
  address,
  family: address.includes(':') ? 6 : 4,
  prefixLength: 24,
  loopback: false,
})
const sources = { addresses: [at('eth0', '192.168.1.20')], ports: { tcp: 1, udp: 2 }, portMapping: true }
const report = (udp: Parameters<typeof natReport>[0], mapping = NO_PORT_MAPPING) => natReport(udp, EASY, mapping, [])

test('tells the NAT, the ports, and the address that a router would forward to', t => {
  const { udp, tcp, ports, lanAddress } = situationOf(report(EASY), sources)
  t.deepEqual(
    { udp, tcp, ports, lanAddress },
    {
      udp: { mapping: 'endpoint-independent', filtering: 'unknown' },
      tcp: { mapping: 'endpoint-independent' },
      ports: { tcp: 1, udp: 2 },
      lanAddress: '192.168.1.20',
    },
  )
})

test('the LAN address is not that of a container bridge or a tunnel', t => {
  const addresses = [at('docker0', '172.17.0.1'), at('wg0', '10.9.0.2'), at('wlan0', '192.168.1.21')]
  t.is(situationOf(report(EASY), { ...sources, addresses }).lanAddress, '192.168.1.21')
  t.is(situationOf(report(EASY), { ...sources, addresses: [] }).lanAddress, undefined)
})

test('tells whether the router opened ports, and if not, why', t => {
  const upnp = { ...NO_PORT_MAPPING, protocol: 'upnp', externalAddress: '198.51.100.7' } as const
  const opening = (...args: Parameters<typeof report>) => situationOf(report(...args), sources).portOpening
  t.is(opening({ ...EASY, mapping: 'none' }), 'not-needed')
  t.is(opening(EASY, { ...upnp, tcp: { address: '198.51.100.7', port: 1 } }), 'made')
  t.is(opening(EASY, { ...upnp, externalAddress: '100.64.0.2', problem: 'another NAT' }), 'behind-nat')
  t.is(opening(EASY, { ...NO_PORT_MAPPING, problem: 'no router' }), 'absent')
  t.is(opening(EASY, { ...upnp, problem: 'refused' }), 'failed')
  t.is(opening(EASY), 'unknown')
  t.is(opening({ ...EASY, filteredBeyondRouter: true }), 'failed')
  t.is(situationOf(report(EASY), { ...sources, portMapping: false }).portOpening, 'off')
})

test('tells which IP versions lead out: no container bridge, no loopback, no IPv6 address of the LAN alone', t => {
  const versions = (...addresses: InterfaceAddress[]) => situationOf(report(EASY), { ...sources, addresses }).ipVersions
  t.deepEqual(versions(at('eth0', '192.168.1.20'), at('eth0', '2001:db8::1')), [4, 6])
  t.deepEqual(versions(at('lo', '127.0.0.1'), at('docker0', '172.17.0.1'), at('eth0', '2001:db8::1')), [6])
  t.deepEqual(versions(at('eth0', '100.64.0.9'), at('eth0', 'fd00::1'), at('eth0', '::1')), [4])
  t.deepEqual(versions(at('eth0', '169.254.7.7')), [])
})
