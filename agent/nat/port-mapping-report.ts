import type { Endpoint } from '../../common/wire/endpoint.ts'
import type { MapperProtocol } from './port-mapper.ts'
import {
  type EntryState,
  heldMapping,
  isBetweenNats,
  isUsable,
  type MappedProtocol,
  type PortMappingState,
} from './port-mapping-state.ts'

/** What the keeper of port mappings knows. */
export interface PortMappingReport {
  readonly protocol: MapperProtocol | 'none'
  /** The router's outside address as the router tells it; 'none' when it says that it has none. */
  readonly externalAddress: string | 'none' | undefined
  readonly tcp: Endpoint | undefined
  readonly udp: Endpoint | undefined
  /** The router's address where it stands behind another NAT, and what is open there. */
  readonly between: BetweenNats | undefined
  readonly problem: string | undefined
}

/** A place that only those reach who stand behind the same outer NAT. */
export interface BetweenNats {
  readonly address: string
  readonly tcp: Endpoint | undefined
  readonly udp: Endpoint | undefined
}

export const NO_PORT_MAPPING: PortMappingReport = {
  protocol: 'none',
  externalAddress: undefined,
  tcp: undefined,
  udp: undefined,
  between: undefined,
  problem: undefined,
}

/** What the state of the mappings means to others: only what leads to us from outside is given as an endpoint. */
export function portMappingReport(
  state: PortMappingState,
  protocol: MapperProtocol | undefined,
  ports: Readonly<Record<MappedProtocol, number>>,
): PortMappingReport {
  const external = state.last?.external
  const usable = external !== undefined && isUsable(external) ? external.address : undefined
  const inner = external !== undefined && isBetweenNats(external) ? external.address : undefined
  const at = (address: string | undefined, entry: EntryState): Endpoint | undefined => {
    const mapping = heldMapping(entry)
    return mapping && address !== undefined ? { address, port: mapping.externalPort } : undefined
  }
  return {
    protocol: (state.last && protocol) ?? 'none',
    externalAddress:
      external?.kind === 'address' ? external.address : external?.kind === 'refused' ? 'none' : undefined,
    tcp: at(usable, state.tcp),
    udp: at(usable, state.udp),
    between: inner === undefined ? undefined : { address: inner, tcp: at(inner, state.tcp), udp: at(inner, state.udp) },
    problem: problemOf(state, ports),
  }
}

/** Said of a router whose outside address is another NAT's inside; `address` is undefined where it does not tell it. */
export function behindAnotherNat(address: string | undefined): string {
  const which =
    address === undefined ? 'the router has no public address' : `the router's outside address is ${address}`
  return (
    `${which}: it stands behind another NAT, so port mappings lead nowhere; ` +
    'ask the provider for a public IPv4 address or IPv6, or make the router in front of it a bridge'
  )
}

/** Said where there is only IPv6, and so no NAT. */
export function firewallUnopened({ tcpPort, udpPort }: { readonly tcpPort: number; readonly udpPort: number }): string {
  return (
    'no router here opens its IPv6 firewall on request: turn PCP on in the router, ' +
    `or let TCP port ${tcpPort} and UDP port ${udpPort} in to this machine by hand`
  )
}

function problemOf(state: PortMappingState, ports: Readonly<Record<MappedProtocol, number>>): string | undefined {
  if (state.gateway.name === 'absent') {
    return (
      'no router here opens ports on request: turn UPnP on in the router (NAT-PMP or PCP do as well), ' +
      `or forward TCP port ${ports.tcp} and UDP port ${ports.udp} to this machine by hand`
    )
  }
  const external = state.last?.external
  if (external?.kind === 'address' && !isUsable(external)) return behindAnotherNat(external.address)
  if (external && external.kind !== 'address' && external.kind !== 'untold') return external.message
  for (const entry of [state.tcp, state.udp]) {
    if (entry.name === 'waiting' && entry.problem !== undefined) return entry.problem
  }
  const left = (['tcp', 'udp'] as const).filter(protocol => state[protocol].name === 'left')
  return left.length === 0 ? undefined : leftText(left, ports)
}

function leftText(left: readonly MappedProtocol[], ports: Readonly<Record<MappedProtocol, number>>): string {
  const named = left.map(protocol => `${protocol.toUpperCase()} port ${ports[protocol]}`).join(' and ')
  const other = left.map(protocol => `"${protocol}"`).join(' and ')
  return (
    `the router is not asked to open ${named}, because routers open ports from ${LOWEST_MAPPED_PORT} only; ` +
    `forward ${named} to this machine by hand, unless that is done, or set ${other} under "listen" to a higher port`
  )
}

/**
 * IGD 2 keeps the ports below from who did not log in (WANIPConnection:2 §2.5.16), and miniupnpd, whose usual rules deny
 * them, looks for another one through all 65,536 at each question by PCP, for so long that nothing else is answered.
 */
const LOWEST_MAPPED_PORT = 1024

/** What a router may be asked for. */
export function mappable(ports: Readonly<Record<MappedProtocol, number>>): ReadonlySet<MappedProtocol> {
  return new Set((['tcp', 'udp'] as const).filter(protocol => ports[protocol] >= LOWEST_MAPPED_PORT))
}
