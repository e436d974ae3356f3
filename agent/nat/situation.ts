import type { InterfaceAddress } from '../../common/platform/network-interfaces.ts'
import { type AddressScope, addressScope } from '../../common/wire/endpoint.ts'
import type { IpVersion, PortOpening, Situation } from '../../common/wire/situation.ts'
import { isTunnelInterface, isVirtualInterface } from './interface-kind.ts'
import type { NatReport } from './nat-report.ts'

/** What a situation is drawn from besides the report. */
export interface SituationSources {
  readonly addresses: readonly InterfaceAddress[]
  readonly ports: { readonly tcp: number; readonly udp: number }
  /** Whether the router may be asked to open ports. */
  readonly portMapping: boolean
}

/** What peers are told of the network around this machine, so that either side can say what keeps the two apart. */
export function situationOf(report: NatReport, { addresses, ports, portMapping }: SituationSources): Situation {
  return {
    udp: { mapping: report.udp.mapping, filtering: report.udp.filtering },
    tcp: { mapping: report.tcp.mapping },
    carrierNat: report.carrierNat,
    portOpening: openingOf(report, portMapping),
    problem: report.portMapping.problem ?? '',
    ports,
    lanAddress: lanAddressOf(addresses),
    ipVersions: ipVersionsOf(addresses),
  }
}

function openingOf({ udp, carrierNat, filteredBeyondRouter, portMapping }: NatReport, wanted: boolean): PortOpening {
  if (udp.mapping === 'none') return 'not-needed'
  if (portMapping.tcp || portMapping.udp) return 'made'
  if (carrierNat) return 'behind-nat'
  if (filteredBeyondRouter) return 'failed'
  if (!wanted) return 'off'
  if (portMapping.problem === null) return 'unknown'
  return portMapping.protocol === 'none' ? 'absent' : 'failed'
}

/** A private IPv6 address leads to nobody outside; a private IPv4 one has a NAT before it. */
export function ipVersionsOf(addresses: readonly InterfaceAddress[]): readonly IpVersion[] {
  const own = addresses.filter(({ interfaceName }) => !isVirtualInterface(interfaceName))
  const has = (version: IpVersion, scopes: readonly AddressScope[]) =>
    own.some(({ family, address }) => family === version && scopes.includes(addressScope(address)))
  const versions: IpVersion[] = []
  if (has(4, ['public', 'private', 'carrier'])) versions.push(4)
  if (has(6, ['public'])) versions.push(6)
  return versions
}

/** The address that a router would forward a port to. */
function lanAddressOf(addresses: readonly InterfaceAddress[]): string | undefined {
  const own = addresses.filter(
    ({ loopback, interfaceName, family }) =>
      family === 4 && !loopback && !isVirtualInterface(interfaceName) && !isTunnelInterface(interfaceName),
  )
  const [first] = own
  return (own.find(({ address }) => addressScope(address) === 'private') ?? first)?.address
}
