import type { DefaultGateway } from './default-gateway.ts'

/** The protocols by which a router opens a port when asked. */
export type MapperProtocol = 'upnp' | 'nat-pmp' | 'pcp'

/** One entry in the router's table that leads to us. */
export interface PortMapping {
  readonly protocol: 'tcp' | 'udp'
  readonly internalPort: number
  readonly externalPort: number
  /** Given by protocols that tell it with the mapping. */
  readonly externalAddress?: string
  /** Seconds; 0 = until it is deleted or the router restarts. */
  readonly leaseS: number
}

/** What we ask for; the router may grant another external port or lease. */
export interface MappingWish {
  readonly protocol: 'tcp' | 'udp'
  readonly internalPort: number
  readonly externalPort: number
  readonly leaseS: number
  /** Shown in the router's own pages. */
  readonly description: string
}

/** Why a router did not do what was asked; `message` says it in words, with the remedy. */
export interface MappingRefusal {
  readonly kind: 'refused' | 'no-answer' | 'aborted'
  readonly message: string
  /** The router will say the same for so many seconds. */
  readonly againS?: number
}

/** The router's outside address; `untold` where it comes with each mapping. */
export type ExternalAnswer =
  | { readonly kind: 'address'; readonly address: string }
  | { readonly kind: 'untold' }
  | MappingRefusal

export const MAPPING_ABORTED: MappingRefusal = { kind: 'aborted', message: 'asking the router was aborted' }

export type MapOutcome = { readonly kind: 'granted'; readonly mapping: PortMapping } | MappingRefusal

/** One router that answered, and how to speak to it. No call rejects for what the router or the network does. */
export interface MappingGateway {
  readonly protocol: MapperProtocol
  readonly address: string
  /** What a `check` takes: one datagram each way, or a connection. */
  readonly checkCost: 'datagram' | 'connection'
  externalAddress(signal: AbortSignal): Promise<ExternalAnswer>
  /** Makes a mapping or prolongs the one that is ours. */
  map(wish: MappingWish, signal: AbortSignal): Promise<MapOutcome>
  /** Removes a mapping; one that is gone already counts as removed. */
  unmap(mapping: PortMapping, signal: AbortSignal): Promise<boolean>
  /** Asks, as cheaply as the protocol allows, whether the router still knows these mappings. */
  check(mappings: readonly PortMapping[], signal: AbortSignal): Promise<'kept' | 'lost' | 'no-answer'>
  /** The router said something that makes its mappings doubtful: the next check looks at each of them. */
  doubt(): void
}

/** Ours: a clock or a boot id tells of a restart nearly always; each so many checks look at the mappings themselves. */
export const CHECKS_PER_LOOK = 4

/** What a gateway tells everybody without being asked. */
export interface GatewayNews {
  /** `announced`: it says that it forgot its mappings, or has another address outside. */
  readonly kind: 'alive' | 'byebye' | 'announced'
  readonly address: string
  /** Another text after each start of the gateway; undefined when it does not tell its starts apart. */
  readonly life: string | undefined
}

/** Finds a gateway of its protocols, if there is one. */
export interface PortMapper {
  /** Looks for a gateway, the default one first. Undefined when nobody answered in time. */
  find(gateways: readonly DefaultGateway[], signal: AbortSignal): Promise<MappingGateway | undefined>
  /** Hears gateways come and go on the links that exist now, until disposed. */
  listen(gateways: readonly DefaultGateway[], onNews: (news: GatewayNews) => void): Disposable
}
