import { formatEndpoint } from '../../common/wire/endpoint.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import type { Situation } from '../../common/wire/situation.ts'
import { formatAddress } from '../config/address.ts'
import type { Nat } from '../nat/nat.ts'
import type { ProbeBudget } from '../nat/probe-budget.ts'
import type { Rendezvous } from '../rendezvous/rendezvous.ts'
import type { Forwards } from '../service/forwards.ts'
import type { Services } from '../service/services.ts'
import type { PathLink } from '../session/path-link.ts'
import type { Peer } from '../session/peer.ts'
import { explain } from '../session/why.ts'
import type { Stranger } from '../trust/strangers.ts'
import type { KnownFrom } from './known-from.ts'
import type { AgentStatus, NatStatus, PathStatus, PeerStatus } from './status.ts'

/** The living parts that a status is read from. */
export interface StatusSources {
  readonly id: string
  readonly name: string
  readonly version: string
  readonly startedAt: number
  readonly rendezvous: Rendezvous
  readonly nat: Nat
  readonly probes: ProbeBudget
  readonly situation: Situation
  readonly peers: readonly Peer[]
  readonly nameOf: (peer: Peer) => string
  readonly knownFrom: (peer: PeerId) => readonly KnownFrom[]
  readonly services: Services
  readonly forwards: Forwards
  readonly strangers: readonly Stranger[]
}

/** What `culvert status` tells, as of `now` (monotonic, ms). */
export function statusOf(sources: StatusSources, now: number): AgentStatus {
  const nat = natStatus(sources.nat, sources.probes)
  return {
    peer: { id: sources.id, name: sources.name },
    version: sources.version,
    uptimeS: Math.round((now - sources.startedAt) / 1000),
    relays: sources.rendezvous.report().map(relay => ({ ...relay, rttMs: rounded(relay.rttMs) })),
    nat,
    peers: sources.peers.map(peer => peerStatus(peer, sources, now)),
    strangers: sources.strangers.map(({ id, at }) => ({ id, agoS: Math.round((now - at) / 1000) })),
    services: sources.services.list().map(({ name, target }) => ({ name, target: formatAddress(target) })),
    forwards: sources.forwards.report().map(({ listen, to, state, problem, lastFailure }) => ({
      listen,
      to,
      state: state === 'listening' ? 'listening' : 'failed',
      problem,
      lastFailure: lastFailure && { reason: lastFailure.reason, agoS: Math.round((now - lastFailure.at) / 1000) },
    })),
  }
}

function natStatus(nat: Nat, probes: ProbeBudget): NatStatus {
  const { udp, tcp, carrierNat, portMapping } = nat.report()
  const ageMs = nat.ageMs()
  const text = (endpoint: Parameters<typeof formatEndpoint>[0] | null) => (endpoint ? formatEndpoint(endpoint) : null)
  return {
    udp: { ...udp, address: text(udp.address) },
    tcp: { ...tcp, address: text(tcp.address) },
    seenAgoS: ageMs === undefined ? null : Math.round(ageMs / 1000),
    carrierNat,
    portMapping: { ...portMapping, tcp: text(portMapping.tcp), udp: text(portMapping.udp) },
    probeBudget: probes.report,
  }
}

function peerStatus(peer: Peer, sources: StatusSources, now: number): PeerStatus {
  const { session } = peer
  const relays = sources.rendezvous.report()
  const active = session?.active
  const { why, remedy } = explain({
    name: sources.nameOf(peer),
    state: peer.state,
    path: active ? { kind: active.kind, transport: active.transport, how: active.how, ...endsOf(active) } : undefined,
    silentMs: active?.suspect ? active.silentMs : undefined,
    faults: peer.direct?.faults ?? new Map(),
    trying: peer.direct?.trying ?? false,
    lastError: peer.lastError,
    mute: peer.mute,
    hasRelay: relays.length > 0,
    relayProblem: relays.some(({ state }) => state === 'connected')
      ? null
      : (relays.find(relay => relay.lastError)?.lastError ?? null),
    own: sources.situation,
    theirs: peer.direct?.theirSituation,
  })
  return {
    id: peer.id,
    name: sources.nameOf(peer),
    state: peer.state,
    path: active ? pathStatus(active, now) : null,
    standby: session?.links.filter(link => link !== active && link.ready).map(link => pathStatus(link, now)) ?? [],
    why,
    remedy,
    knownFrom: sources.knownFrom(peer.id),
    streams: session?.streamCount ?? 0,
    ...peer.traffic,
  }
}

function endsOf({ path: { local, remote } }: PathLink) {
  return { local, remote }
}

/** How one path is told in `status` and `ping`. */
export function pathStatus(link: PathLink, now: number): PathStatus {
  const { local, remote } = link.path
  return {
    kind: link.kind,
    transport: link.transport,
    how: link.how,
    local: local ? formatEndpoint(local) : null,
    remote: remote ? formatEndpoint(remote) : null,
    rttMs: rounded(link.rttMs ?? null),
    sinceS: Math.round((now - link.openedAt) / 1000),
  }
}

function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms * 100) / 100
}
