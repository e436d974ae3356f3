import type { InterfaceAddress } from '../../common/platform/network-interfaces.ts'
import { type Candidate, type DirectHow, MAX_CANDIDATES } from '../../common/wire/candidate.ts'
import { addressScope, type Endpoint, sameEndpoint } from '../../common/wire/endpoint.ts'
import { isTunnelInterface, isVirtualInterface } from './interface-kind.ts'
import type { BetweenNats } from './port-mapping-report.ts'

/** What is known about where we can be reached. */
export interface CandidateSources {
  readonly addresses: readonly InterfaceAddress[]
  readonly tcpPort: number
  /** Given only when a socket of ours takes strangers' datagrams there. */
  readonly udpPort?: number
  /** Port mappings that may be told to others. */
  readonly mapped: { readonly tcp: Endpoint | null; readonly udp: Endpoint | null }
  /** Ports that somebody forwarded by hand, seen to lead here. */
  readonly forwarded?: { readonly tcp: Endpoint | undefined; readonly udp: Endpoint | undefined }
  /** Our router's place between two NATs. */
  readonly between?: BetweenNats | undefined
  /** An outside address, not on this machine, behind which everything seems to come in at its own port. */
  readonly open: string | undefined
}

/** Ours: a machine with many addresses of one sort must not crowd out its mapping. */
const MAX_PER_RANK = 8

/** Lower is better: what is cheap and likely comes first, what nobody else can be behind last. */
const RANK = {
  lan: 0,
  public: 1,
  ipv6: 2,
  mapped: 3,
  between: 4,
  open: 5,
  tunnel: 6,
  linkLocal: 7,
  bridge: 8,
  loopback: 9,
} as const
type Rank = keyof typeof RANK

interface Ranked {
  readonly rank: Rank
  readonly candidate: Candidate
}

/** Where peers may reach us, best first, at most 32. Loopback only on a machine that has nothing else. */
export function candidatesOf(sources: CandidateSources): readonly Candidate[] {
  const ranked: Ranked[] = []
  const add = (rank: Rank, kind: 'tcp' | 'udp', how: DirectHow, endpoint: Endpoint) => {
    const known = ranked.some(({ candidate }) => candidate.kind === kind && sameEndpoint(candidate.endpoint, endpoint))
    const full = ranked.filter(other => other.rank === rank).length >= MAX_PER_RANK
    if (!known && !full) ranked.push({ rank, candidate: { kind, how, endpoint } })
  }
  const addAddress = (rank: Rank, how: DirectHow, address: string) => {
    add(rank, 'tcp', how, { address, port: sources.tcpPort })
    // A tunnel runs over the same line, through one program more. Told so, it is taken after all that need no luck.
    const udpHow = rank === 'tunnel' ? 'punched' : how
    if (sources.udpPort !== undefined) add(rank, 'udp', udpHow, { address, port: sources.udpPort })
  }
  const alone = sources.addresses.every(({ loopback }) => loopback)
  for (const address of sources.addresses) {
    const place = placeOf(address)
    if (place && (place.rank !== 'loopback' || alone)) addAddress(place.rank, place.how, address.address)
  }
  if (sources.mapped.tcp) add('mapped', 'tcp', 'mapped', sources.mapped.tcp)
  if (sources.mapped.udp) add('mapped', 'udp', 'mapped', sources.mapped.udp)
  if (sources.forwarded?.tcp) add('mapped', 'tcp', 'mapped', sources.forwarded.tcp)
  if (sources.forwarded?.udp) add('mapped', 'udp', 'mapped', sources.forwarded.udp)
  if (sources.between?.tcp) add('between', 'tcp', 'mapped', sources.between.tcp)
  if (sources.between?.udp) add('between', 'udp', 'mapped', sources.between.udp)
  else if (sources.between && sources.udpPort !== undefined) {
    // Most routers keep ports, and probes from both sides open it.
    add('between', 'udp', 'punched', { address: sources.between.address, port: sources.udpPort })
  }
  if (sources.open !== undefined) addAddress('open', 'public', sources.open)
  return ranked
    .toSorted((a, b) => RANK[a.rank] - RANK[b.rank])
    .map(({ candidate }) => candidate)
    .slice(0, MAX_CANDIDATES)
}

/** With the outside endpoint of our UDP port, as a STUN server saw it, unless it is one of them already. */
export function withOutside(candidates: readonly Candidate[], outside: Endpoint | undefined): readonly Candidate[] {
  if (!outside) return candidates
  if (candidates.some(({ kind, endpoint }) => kind === 'udp' && sameEndpoint(endpoint, outside))) return candidates
  return [...candidates.slice(0, MAX_CANDIDATES - 1), { kind: 'udp', how: 'punched', endpoint: outside }]
}

function placeOf(entry: InterfaceAddress): { readonly rank: Rank; readonly how: DirectHow } | undefined {
  const scope = addressScope(entry.address)
  if (entry.loopback || scope === 'loopback') return { rank: 'loopback', how: 'lan' }
  if (isVirtualInterface(entry.interfaceName)) return { rank: 'bridge', how: 'lan' }
  switch (scope) {
    case 'private':
    // Two homes of one carrier may reach each other there, and its NAT often has no way back to itself.
    case 'carrier':
      return { rank: isTunnelInterface(entry.interfaceName) ? 'tunnel' : 'lan', how: 'lan' }
    case 'public':
      return entry.family === 6 ? { rank: 'ipv6', how: 'ipv6' } : { rank: 'public', how: 'public' }
    case 'link-local':
      return { rank: 'linkLocal', how: 'lan' }
    case 'unusable':
      return undefined
    default:
      return scope satisfies never
  }
}
