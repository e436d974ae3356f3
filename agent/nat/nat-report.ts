import { isIPv4 } from 'node:net'
import type { InterfaceAddress } from '../../common/platform/network-interfaces.ts'
import { addressScope, type Endpoint } from '../../common/wire/endpoint.ts'
import type { FilteringBehaviour, MappingBehaviour, MappingResult } from './behaviour.ts'
import { isTunnelInterface } from './interface-kind.ts'
import type { MapperProtocol } from './port-mapper.ts'
import { behindAnotherNat, type PortMappingReport } from './port-mapping-report.ts'
import type { Transport } from './reach-book.ts'
import type { Verdict } from './reach-state.ts'
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
  /** Something beyond the first router keeps out what nobody asked for. */
  readonly filteredBeyondRouter: boolean
  readonly portMapping: {
    readonly protocol: MapperProtocol | 'none'
    /** Outside endpoints that others may be told; null while there is none. */
    readonly tcp: Endpoint | null
    readonly udp: Endpoint | null
    /** Seen from outside to lead here. */
    readonly verified: boolean
    /** What is wrong and what would mend it, in one line. */
    readonly problem: string | null
  }
}

/** The endpoints that the router claims to lead to us, unless servers see us elsewhere: what is worth a look from outside. */
export function claimedEndpoints(
  udp: UdpBehaviour,
  tcp: MappingResult,
  mapping: PortMappingReport,
): Pick<PortMappingReport, Transport> {
  const doubt = doubtOf(mapping.externalAddress, seenAddress(udp, tcp))
  return doubt === undefined ? { tcp: mapping.tcp, udp: mapping.udp } : { tcp: undefined, udp: undefined }
}

/**
 * Puts together what discovery, the router, the machine itself and those who looked from outside say; a mapping that they
 * contradict is not told.
 */
export function natReport(
  udp: UdpBehaviour,
  tcp: MappingResult,
  mapping: PortMappingReport,
  addresses: readonly InterfaceAddress[],
  verdictOn: (transport: Transport, endpoint: Endpoint) => Verdict | undefined = () => 'unknown',
  /** Ports that somebody forwarded by hand, seen to lead here. */
  forwarded: Pick<PortMappingReport, Transport> = { tcp: undefined, udp: undefined },
): NatReport {
  const seen = seenAddress(udp, tcp)
  const doubt = doubtOf(mapping.externalAddress, seen)
  const claimed = claimedEndpoints(udp, tcp, mapping)
  const verdicts = TRANSPORTS.map(transport => {
    const endpoint = claimed[transport]
    return { transport, endpoint, verdict: endpoint && verdictOn(transport, endpoint) }
  })
  const told = (wanted: Transport): Endpoint | null => {
    const { endpoint, verdict } = verdicts.find(({ transport }) => transport === wanted) ?? {}
    return (endpoint && (verdict === 'reached' || verdict === 'unknown') ? endpoint : forwarded[wanted]) ?? null
  }
  const shut = verdicts.filter(({ verdict }) => verdict === 'unreached')
  // Without a NAT there is nothing to map, and no fault of a router to report.
  const natless = udp.mapping === 'none'
  const byHand = forwarded.tcp !== undefined || forwarded.udp !== undefined
  // Of a router that tells its address outside, that says more.
  const beyond = !natless && mapping.protocol === 'none' && udp.filteredBeyondRouter === true
  return {
    udp: { mapping: udp.mapping, filtering: udp.filtering, address: udp.address ?? null },
    tcp: { mapping: tcp.mapping, address: tcp.address ?? null },
    filteredBeyondRouter: beyond,
    carrierNat: !natless && isBehindCarrier(mapping.externalAddress, seen, addresses),
    portMapping: {
      protocol: mapping.protocol,
      tcp: told('tcp'),
      udp: told('udp'),
      verified: byHand || verdicts.some(({ verdict }) => verdict === 'reached'),
      problem:
        natless || byHand
          ? null
          : (doubt ??
            (beyond ? BEYOND_ROUTER : undefined) ??
            mapping.problem ??
            shutText(shut, udp.mapping === 'blocked') ??
            null),
    },
  }
}

const BEYOND_ROUTER =
  'the router is not the last one on the way out: a second router, or the NAT of the provider, keeps out what nobody ' +
  'asked for, so ports that are opened in the first one alone lead nowhere; ' +
  'ask the provider for a public IPv4 address or IPv6, or make the router in front of it a bridge'

const TRANSPORTS = ['tcp', 'udp'] as const

function seenAddress(udp: UdpBehaviour, tcp: MappingResult): string | undefined {
  return udp.address?.address ?? tcp.address?.address
}

/** Said of ports that the router claims to have opened. Where no UDP passes at all, that is said elsewhere. */
function shutText(
  shut: readonly { readonly transport: Transport; readonly endpoint: Endpoint | undefined }[],
  udpBlocked: boolean,
): string | undefined {
  const ports = shut
    .filter(({ transport }) => transport === 'tcp' || !udpBlocked)
    .map(({ transport, endpoint }) => `${transport.toUpperCase()} port ${endpoint?.port}`)
  if (ports.length === 0) return undefined
  return (
    `the router says that it opened ${ports.join(' and ')}, but nothing from outside arrives there; look for a second ` +
    'router or a firewall on the way, ask the provider whether it lets connections in, or restart the router'
  )
}

/** Why the router's own word on its address cannot be right, given what servers see. */
function doubtOf(external: string | undefined, seen: string | undefined): string | undefined {
  if (external === undefined || seen === undefined || !isPublicV4(seen)) return undefined
  if (external === 'none') return behindAnotherNat(undefined)
  if (external === seen || !isPublicV4(external)) return undefined
  return (
    `the router says its outside address is ${external}, but servers see ${seen}: its port mappings are not used; ` +
    'restart the router, or forward the ports on the router in front of it'
  )
}

function isBehindCarrier(
  external: string | undefined,
  seen: string | undefined,
  addresses: readonly InterfaceAddress[],
): boolean {
  if (external === 'none') return seen !== undefined && isPublicV4(seen)
  if (external !== undefined) return !isPublicV4(external)
  return addresses.some(
    ({ interfaceName, address }) => addressScope(address) === 'carrier' && !isTunnelInterface(interfaceName),
  )
}

function isPublicV4(address: string): boolean {
  return isIPv4(address) && addressScope(address) === 'public'
}
