import test from 'ava'
import { natReport } from '../../../../agent/nat/nat-report.ts'
import { NO_PORT_MAPPING } from '../../../../agent/nat/port-mapping-report.ts'
import type { Verdict } from '../../../../agent/nat/reach-state.ts'
import { UNKNOWN_TCP } from '../../../../agent/nat/tcp-behaviour.ts'
import { UNKNOWN_UDP } from '../../../../agent/nat/udp-behaviour.ts'

const OUTSIDE = { address: '198.51.100.7', port: 9 }
const behindNat = { mapping: 'endpoint-independent', filtering: 'unknown', address: OUTSIDE } as const
const mappedAt = (address: string) => ({
  ...NO_PORT_MAPPING,
  protocol: 'upnp' as const,
  externalAddress: address,
  tcp: { address, port: 4000 },
})
const at = (interfaceName: string, address: string) => ({
  interfaceName,
  address,
  family: 4 as const,
  prefixLength: 24,
  loopback: false,
})

test('before anything is known everything is unknown and nothing is claimed', t => {
  t.deepEqual(natReport(UNKNOWN_UDP, UNKNOWN_TCP, NO_PORT_MAPPING, []), {
    udp: { mapping: 'unknown', filtering: 'unknown', address: null },
    tcp: { mapping: 'unknown', address: null },
    carrierNat: false,
    filteredBeyondRouter: false,
    portMapping: { protocol: 'none', tcp: null, udp: null, verified: false, problem: null },
  })
})

test('a mapping is told when servers see the address that the router tells', t => {
  const { portMapping, carrierNat } = natReport(behindNat, UNKNOWN_TCP, mappedAt('198.51.100.7'), [])
  t.deepEqual(portMapping.tcp, { address: '198.51.100.7', port: 4000 })
  t.false(carrierNat)
})

test('a router that names another public address is not believed, and the report says so', t => {
  const { portMapping, carrierNat } = natReport(behindNat, UNKNOWN_TCP, mappedAt('203.0.113.80'), [])
  t.is(portMapping.tcp, null)
  t.regex(portMapping.problem ?? '', /203\.0\.113\.80, but servers see 198\.51\.100\.7/)
  t.false(carrierNat)
})

test('a router with a private, a carrier, or no address while servers see us is behind a carrier NAT', t => {
  for (const externalAddress of ['10.9.8.7', '100.64.1.1', 'none']) {
    const { carrierNat } = natReport(behindNat, UNKNOWN_TCP, { ...NO_PORT_MAPPING, externalAddress }, [])
    t.true(carrierNat, externalAddress)
  }
  t.false(natReport(UNKNOWN_UDP, UNKNOWN_TCP, { ...NO_PORT_MAPPING, externalAddress: 'none' }, []).carrierNat)
})

test('a carrier address of our own counts, a VPN that uses the same range does not', t => {
  t.true(natReport(behindNat, UNKNOWN_TCP, NO_PORT_MAPPING, [at('wwan0', '100.64.0.9')]).carrierNat)
  t.false(natReport(behindNat, UNKNOWN_TCP, NO_PORT_MAPPING, [at('tailscale0', '100.64.0.9')]).carrierNat)
})

test('without a NAT a missing port mapping is no problem', t => {
  const open = { mapping: 'none', filtering: 'none', address: OUTSIDE } as const
  const report = natReport(open, UNKNOWN_TCP, { ...NO_PORT_MAPPING, problem: 'no router' }, [
    at('eth0', '198.51.100.7'),
  ])
  t.is(report.portMapping.problem, null)
})

test('only what was reached from outside, or nobody could look at, is told; what is shut is explained', t => {
  const mapping = { ...mappedAt('198.51.100.7'), udp: { address: '198.51.100.7', port: 4001 } }
  const told = (
    tcp: Verdict | undefined,
    udp: Verdict | undefined,
    seen: Parameters<typeof natReport>[0] = behindNat,
  ) => {
    const verdicts = { tcp, udp }
    const { portMapping } = natReport(seen, UNKNOWN_TCP, mapping, [], transport => verdicts[transport])
    return { ...portMapping, tcp: portMapping.tcp?.port, udp: portMapping.udp?.port }
  }
  t.like(told('reached', 'reached'), { tcp: 4000, udp: 4001, verified: true, problem: null })
  t.like(told('unknown', 'unknown'), { tcp: 4000, udp: 4001, verified: false, problem: null })
  t.like(told(undefined, undefined), { tcp: undefined, udp: undefined, verified: false, problem: null })
  t.like(told('reached', 'unreached'), { tcp: 4000, udp: undefined, verified: true })
  t.regex(told('reached', 'unreached').problem ?? '', /opened UDP port 4001, but nothing from outside arrives/)
  t.regex(told('unreached', 'unreached').problem ?? '', /opened TCP port 4000 and UDP port 4001, but/)
  t.is(told('reached', 'unreached', { ...behindNat, mapping: 'blocked' }).problem, null)
})

test('what a second NAT keeps out is told where no router speaks of it, and not as a fault of the first one', t => {
  const udp = {
    mapping: 'endpoint-independent',
    filtering: 'address-and-port-dependent',
    address: { address: '198.51.100.7', port: 9 },
    filteredBeyondRouter: true,
  } as const
  const absent = { ...NO_PORT_MAPPING, problem: 'no router here opens ports on request: turn UPnP on' }
  const report = natReport(udp, UNKNOWN_TCP, absent, [])
  t.true(report.filteredBeyondRouter)
  t.regex(report.portMapping.problem ?? '', /a second router, or the NAT of the provider/)
  const upnp = { ...absent, protocol: 'upnp', externalAddress: '198.51.100.7', problem: 'it refused' } as const
  t.is(natReport(udp, UNKNOWN_TCP, upnp, []).portMapping.problem, 'it refused')
})

test('a port that was forwarded by hand and seen to work is told, and no fault of the router then', t => {
  const absent = { ...NO_PORT_MAPPING, problem: 'no router here opens ports on request: forward them by hand' }
  const tcp = { address: OUTSIDE.address, port: 4000 }
  const report = natReport(behindNat, UNKNOWN_TCP, absent, [], () => undefined, { tcp, udp: undefined })
  t.deepEqual(report.portMapping, { protocol: 'none', tcp, udp: null, verified: true, problem: null })
})
