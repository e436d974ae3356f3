import { isIPv6 } from 'node:net'
import { CulvertError } from '../../common/errors.ts'
import { type Clock, deadline } from '../../common/platform/clock.ts'
import type { Random } from '../../common/platform/random.ts'
import { openUdpSocket, type UdpSocket } from '../../common/platform/udp-socket.ts'
import { addressScope, type Endpoint, sameEndpoint } from '../../common/wire/endpoint.ts'
import {
  classifyFiltering,
  classifyMapping,
  type FilteringBehaviour,
  type FilteringObservation,
  isFilteringGuessed,
  type MappingObservation,
  type MappingResult,
} from './behaviour.ts'
import { QUICK_RETRANSMISSION, type StunOutcome, StunSocket, stunRequest } from './stun-client.ts'

/** What our NAT does with UDP; `address` is our outside address, known even where the rest is not. */
export interface UdpBehaviour extends MappingResult {
  readonly filtering: FilteringBehaviour
  /** Present where the filtering may also be a milder one. */
  readonly filteringGuessed?: true
  /** Present where something beyond the first router filters, too. */
  readonly filteredBeyondRouter?: true
}

export const UNKNOWN_UDP: UdpBehaviour = { mapping: 'unknown', filtering: 'unknown', address: undefined }

/** Ours: all questions run in parallel and are over, whatever the network does. */
const UDP_DISCOVERY_MS = 2000
/** Ours: more servers tell nothing new, and every question is an entry in the router's table. */
const MAX_MAPPING_SERVERS = 6
const MAX_FILTERING_SERVERS = 2

export interface UdpDiscoveryOptions {
  readonly clock: Clock
  readonly random: Random
  readonly signal?: AbortSignal
  /** STUN servers of one address family. */
  readonly servers: readonly Endpoint[]
  /** The port to ask from; when it is taken, or 0, any other. */
  readonly localPort: number
  /** Addresses of this machine: an outside address among them means that there is no NAT. */
  readonly localAddresses: readonly string[]
  /** Called with the outside address of the first answer, usually one round trip after the start. */
  readonly onAddress?: (outside: Endpoint) => void
  /** Called when the mapping is known; the local port is free again by then. */
  readonly onMapping?: (result: MappingResult) => void
}

/** Finds out mapping and filtering (RFC 5780) in at most two seconds. Never rejects for what the network does. */
export async function discoverUdpBehaviour(options: UdpDiscoveryOptions): Promise<UdpBehaviour> {
  if (options.servers.length === 0) return UNKNOWN_UDP
  const limit = deadline(options.clock, UDP_DISCOVERY_MS, options.signal)
  try {
    const bounded = { ...options, signal: limit.signal }
    const [mapping, seen] = await Promise.all([observeMapping(bounded), observeFiltering(bounded)])
    const guessed = isFilteringGuessed(seen) ? ({ filteringGuessed: true } as const) : {}
    return { ...mapping, filtering: classifyFiltering(seen, mapping.mapping === 'none'), ...guessed }
  } finally {
    limit.done()
  }
}

async function observeMapping(options: UdpDiscoveryOptions): Promise<MappingResult> {
  await using socket = await bind(options.servers, options.localPort)
  const stun = new StunSocket(socket)
  const asked: Endpoint[] = []
  const observations: MappingObservation[] = []
  let addressSeen = false
  const ask = async (server: Endpoint): Promise<void> => {
    if (asked.length >= MAX_MAPPING_SERVERS || asked.some(other => sameEndpoint(other, server))) return
    asked.push(server)
    const outcome = await stunRequest(stun, server, { ...options, retransmission: QUICK_RETRANSMISSION })
    if (outcome.kind === 'refused') return
    observations.push({ server, outside: outcome.kind === 'answered' ? outcome.outside : undefined })
    if (outcome.kind !== 'answered') return
    if (!addressSeen) options.onAddress?.(outcome.outside)
    addressSeen = true
    await Promise.all(furtherServers(server, outcome.message.otherAddress).map(ask))
  }
  await Promise.all(options.servers.map(ask))
  const { local } = socket
  const result = classifyMapping(observations, ({ address, port }) => {
    return port === local.port && options.localAddresses.includes(address)
  })
  await socket.close()
  options.onMapping?.(result)
  return result
}

/** RFC 5780 §4.3 asks the other address at the first port, then at the other; one more port of the first tells more. */
function furtherServers(server: Endpoint, other: Endpoint | undefined): readonly Endpoint[] {
  // A server must not make us send into a network that it is not part of itself.
  if (!other || isIPv6(other.address) !== isIPv6(server.address)) return []
  if (addressScope(other.address) !== addressScope(server.address)) return []
  return [
    { address: server.address, port: other.port },
    { address: other.address, port: server.port },
  ]
}

/** One fresh socket per server: a socket that has sent elsewhere would have opened the filter itself. */
async function observeFiltering(options: UdpDiscoveryOptions): Promise<FilteringObservation | undefined> {
  const byAddress = new Map(options.servers.toReversed().map(server => [server.address, server]))
  const servers = [...byAddress.values()].toReversed().slice(0, MAX_FILTERING_SERVERS)
  const seen = await Promise.all(servers.map(server => observeFilteringOf(server, options)))
  return seen.toSorted((a, b) => tellsMore(b) - tellsMore(a))[0]
}

async function observeFilteringOf(server: Endpoint, options: UdpDiscoveryOptions): Promise<FilteringObservation> {
  await using socket = await bind([server], 0)
  const stun = new StunSocket(socket)
  const ask = (changeRequest?: { readonly address: boolean; readonly port: boolean }): Promise<StunOutcome> => {
    const change = changeRequest ? { changeRequest } : {}
    return stunRequest(stun, server, { ...options, ...change, retransmission: QUICK_RETRANSMISSION })
  }
  // Both refusals and answers of changed requests can be told from silence, so all three are asked at once.
  const [plain, otherPort, otherAddress] = await Promise.all([
    ask(),
    ask({ address: false, port: true }),
    ask({ address: true, port: true }),
  ])
  const other = plain.kind === 'answered' ? plain.message.otherAddress : undefined
  return {
    plain: plain.kind === 'answered',
    canChange: {
      // A server with one address names no other, and refuses only what it has not got.
      port: otherPort.kind !== 'refused' && (other !== undefined || otherAddress.kind === 'refused'),
      address: other !== undefined && other.address !== server.address && otherAddress.kind !== 'refused',
    },
    fromOtherPort: otherPort.kind === 'answered',
    fromOtherAddress: otherAddress.kind === 'answered',
  }
}

function tellsMore(seen: FilteringObservation): number {
  if (seen.canChange.address || seen.fromOtherAddress) return 3
  if (seen.canChange.port || seen.fromOtherPort) return 2
  return seen.plain ? 1 : 0
}

async function bind(servers: readonly Endpoint[], port: number): Promise<UdpSocket> {
  const family = servers.some(({ address }) => isIPv6(address)) ? 6 : 4
  try {
    return await openUdpSocket({ family, port })
  } catch (thrown) {
    if (port !== 0 && thrown instanceof CulvertError && thrown.code === 'port-in-use') {
      return openUdpSocket({ family })
    }
    throw thrown
  }
}
