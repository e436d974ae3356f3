import { type Endpoint, sameEndpoint } from '../../common/wire/endpoint.ts'

/** How a NAT chooses outside addresses (RFC 4787 §4.1). `none`: there is no NAT; `blocked`: nothing passes. */
export type MappingBehaviour =
  | 'endpoint-independent'
  | 'address-dependent'
  | 'address-and-port-dependent'
  | 'none'
  | 'blocked'
  | 'unknown'

/** Whom a NAT lets in (RFC 4787 §5). `none`: everybody; without NAT the other values name a firewall's behaviour. */
export type FilteringBehaviour = MappingBehaviour

/** One question to a STUN server and the outside address it saw, if it answered. */
export interface MappingObservation {
  readonly server: Endpoint
  readonly outside: Endpoint | undefined
}

/** What is known of a mapping: `address` is set as soon as one server answered. */
export interface MappingResult {
  readonly mapping: MappingBehaviour
  readonly address: Endpoint | undefined
}

/**
 * Names the mapping from what servers saw of one local port. Asked with two ports of one address only, equal answers
 * count as endpoint-independent: address-dependent NATs that keep the port for one address are too rare to plan for.
 */
export function classifyMapping(
  observations: readonly MappingObservation[],
  isLocal: (outside: Endpoint) => boolean,
): MappingResult {
  if (observations.length === 0) return { mapping: 'unknown', address: undefined }
  const answered = observations.flatMap(({ server, outside }) => (outside ? [{ server, outside }] : []))
  const first = answered[0]
  if (!first) return { mapping: 'blocked', address: undefined }
  const address = first.outside
  if (isLocal(address)) return { mapping: 'none', address }
  if (answered.length === 1) return { mapping: 'unknown', address }
  if (answered.every(({ outside }) => sameEndpoint(outside, address))) {
    return { mapping: 'endpoint-independent', address }
  }
  return { mapping: dependenceOf(answered), address }
}

interface Answer {
  readonly server: Endpoint
  readonly outside: Endpoint
}

function dependenceOf(answers: readonly Answer[]): MappingBehaviour {
  let portsCompared = false
  for (const [i, a] of answers.entries()) {
    for (const b of answers.slice(i + 1)) {
      if (a.server.address !== b.server.address || a.server.port === b.server.port) continue
      portsCompared = true
      if (!sameEndpoint(a.outside, b.outside)) return 'address-and-port-dependent'
    }
  }
  // Without two ports of one address nothing tells the two kinds apart; the worse one is the safe guess.
  return portsCompared ? 'address-dependent' : 'address-and-port-dependent'
}

/** What came back to a socket that had sent to one address and port of one server only. */
export interface FilteringObservation {
  /** The plain answer came: UDP passes at all. */
  readonly plain: boolean
  /** The server can answer from another port, or from another address (RFC 5780 OTHER-ADDRESS). */
  readonly canChange: { readonly port: boolean; readonly address: boolean }
  /** The answer sent from the other port, or from the other address and port, came in. */
  readonly fromOtherPort: boolean
  readonly fromOtherAddress: boolean
}

/**
 * Names the filtering. A server with one address proves no more than that other ports get in, which is reported as
 * address-dependent, the worse of the two kinds that it may be.
 */
export function classifyFiltering(seen: FilteringObservation | undefined, natless: boolean): FilteringBehaviour {
  if (!seen) return 'unknown'
  if (seen.fromOtherAddress) return natless ? 'none' : 'endpoint-independent'
  if (seen.fromOtherPort) return 'address-dependent'
  if (!seen.plain) return 'blocked'
  return seen.canChange.port ? 'address-and-port-dependent' : 'unknown'
}

/** True where `classifyFiltering` named the worse of two kinds, for want of a second address to ask from. */
export function isFilteringGuessed(seen: FilteringObservation | undefined): boolean {
  if (!seen) return false
  return seen.fromOtherPort && !seen.fromOtherAddress && !seen.canChange.address
}
