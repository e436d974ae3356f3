import type { InterfaceAddress } from '../../common/platform/network-interfaces.ts'
import { addressScope, type Endpoint } from '../../common/wire/endpoint.ts'
import type { FilteringBehaviour, MappingBehaviour, MappingResult } from './behaviour.ts'
import { isTunnelInterface } from './interface-kind.ts'
import type { MapperProtocol } from './port-mapper.ts'
import type { UdpBehaviour } from './udp-behaviour.ts'

/** What this machine knows of the NAT in front of it. */
export interface NatReport {
  readonly udp: {
    readonly mapping: MappingBehaviour
    readonly filtering: FilteringBehaviour
    readonly address: Endpoint | null
  }
  readonly tcp: { readonly mapping: MappingBehaviour; readonly address: Endpoint | null }
  /** The router's outside address is itself behind a carrier's NAT. */
  readonly carrierNat: boolean
  readonly portMapping: {
    readonly protocol: MapperProtocol | 'none'
    /** Outside endpoints that others may be told; null while there is none. */
    readonly tcp: Endpoint | null
    readonly udp: Endpoint | null
    readonly verified: boolean
    /** What is wrong and what would mend it, in one line. */
    readonly problem: string | null
  }
}

/** What the keeper of port mappings knows. */
export interface PortMappingReport {
  readonly protocol: MapperProtocol | 'none'
  /** The router's outside address as the router tells it. */
  readonly externalAddress: string | undefined
  readonly tcp: Endpoint | undefined
  readonly udp: Endpoint | undefined
  readonly problem: string | undefined
}

export const NO_PORT_MAPPING: PortMappingReport = {
  protocol: 'none',
  externalAddress: undefined,
  tcp: undefined,
  udp: undefined,
  problem: undefined,
}

/** Puts together what discovery, the router and the machine itself say; a mapping that they contradict is not told. */
export function natReport(
  udp: UdpBehaviour,
  tcp: MappingResult,
  mapping: PortMappingReport,
  addresses: readonly InterfaceAddress[],
): NatReport {
  const seen = udp.address?.address ?? tcp.address?.address
  const elsewhere = mappingLeadsElsewhere(mapping.externalAddress, seen)
  return {
    udp: { mapping: udp.mapping, filtering: udp.filtering, address: udp.address ?? null },
    tcp: { mapping: tcp.mapping, address: tcp.address ?? null },
    carrierNat: isBehindCarrier(mapping.externalAddress, addresses),
    portMapping: {
      protocol: mapping.protocol,
      tcp: elsewhere ? null : (mapping.tcp ?? null),
      udp: elsewhere ? null : (mapping.udp ?? null),
      verified: false,
      problem: elsewhere ?? mapping.problem ?? null,
    },
  }
}

function mappingLeadsElsewhere(external: string | undefined, seen: string | undefined): string | undefined {
  if (external === undefined || seen === undefined || external === seen) return undefined
  if (addressScope(external) !== 'public' || addressScope(seen) !== 'public' || seen.includes(':')) return undefined
  return (
    `the router says its outside address is ${external}, but servers see ${seen}: its port mappings are not used; ` +
    'restart the router, or forward the ports on the router in front of it'
  )
}

function isBehindCarrier(external: string | undefined, addresses: readonly InterfaceAddress[]): boolean {
  if (external !== undefined) {
    const scope = addressScope(external)
    return scope === 'private' || scope === 'carrier'
  }
  return addresses.some(
    ({ interfaceName, address }) => addressScope(address) === 'carrier' && !isTunnelInterface(interfaceName),
  )
}
