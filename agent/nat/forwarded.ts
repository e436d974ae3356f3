import { isIPv4 } from 'node:net'
import { addressScope, type Endpoint } from '../../common/wire/endpoint.ts'
import type { MappingResult } from './behaviour.ts'
import { claimedEndpoints } from './nat-report.ts'
import type { PortMappingReport } from './port-mapping-report.ts'
import type { Transport } from './reach-book.ts'
import type { UdpBehaviour } from './udp-behaviour.ts'

/** What somebody may have forwarded is drawn from. */
export interface ForwardSources {
  readonly udp: UdpBehaviour
  readonly tcp: MappingResult
  /** What the router did on request, over IPv4. */
  readonly mapping: PortMappingReport
  /** Where we listen; no UDP port where strangers' datagrams are not taken. */
  readonly ports: { readonly tcp: number; readonly udp: number | undefined }
}

/**
 * Where ports that somebody forwarded by hand would lead to us: at our outside address, under their own numbers, whatever
 * port the router takes for what goes out. Not where the router opened one on request.
 */
export function forwardedEndpoints({ udp, tcp, mapping, ports }: ForwardSources): Partial<Record<Transport, Endpoint>> {
  const address = udp.address?.address ?? tcp.address?.address
  if (address === undefined || !isIPv4(address) || addressScope(address) !== 'public' || udp.mapping === 'none')
    return {}
  const claimed = claimedEndpoints(udp, tcp, mapping)
  const wanted: Partial<Record<Transport, Endpoint>> = {}
  if (!claimed.tcp) wanted.tcp = { address, port: ports.tcp }
  if (!claimed.udp && ports.udp !== undefined && tellsForwards(udp)) wanted.udp = { address, port: ports.udp }
  return wanted
}

/** A milder NAT lets a relay in that we asked before from this port, without any forward. */
function tellsForwards({ mapping, filtering }: UdpBehaviour): boolean {
  const hard = mapping === 'address-dependent' || mapping === 'address-and-port-dependent'
  return filtering === 'address-and-port-dependent' || (hard && filtering === 'address-dependent')
}
