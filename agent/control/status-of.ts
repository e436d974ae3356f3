import { formatEndpoint } from '../../common/wire/endpoint.ts'
import { LAST_SECOND } from '../../common/wire/membership.ts'
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
import { NO_TRAFFIC } from '../session/traffic.ts'
import { explain } from '../session/why.ts'
import type { Member } from '../trust/network.ts'
import type { Stranger } from '../trust/strangers.ts'
import type { KnownFrom } from './known-from.ts'
import type {
  AgentStatus,
  MemberStatus,
  NatStatus,
  NetworkStatus,
  PathStatus,
  PeerRelayStatus,
  PeerStatus,
} from './status.ts'

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
  readonly network: NetworkStatus | null
  readonly peerRelay: PeerRelayStatus | null
  /** Pinned peers, and members that there is something with. */
  readonly peers: readonly Peer[]
  readonly knownFrom: (peer: PeerId) => readonly KnownFrom[]
  /** Members that there is nothing with. */
  readonly others: readonly PeerId[]
  readonly nameOf: (peer: PeerId) => string
  readonly memberOf: (peer: PeerId) => Member | undefined
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
    network: sources.network,
    peerRelay: sources.peerRelay,
    peers: [
      ...sources.peers.map(peer => peerStatus(peer, sources, now)),
      ...sources.others.map(id => otherStatus(id, sources)),
    ],
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
  const active = session?.active
  const { why, remedy } = explain({
    ...surroundings(sources),
    name: sources.nameOf(peer.id),
    state: peer.state,
    path: active ? { kind: active.kind, transport: active.transport, how: active.how, ...endsOf(active) } : undefined,
    silentMs: active?.suspect ? active.silentMs : undefined,
    faults: peer.direct?.faults ?? new Map(),
    trying: peer.direct?.trying ?? false,
    lastError: peer.lastError,
    mute: peer.mute,
    theirs: peer.direct?.theirSituation,
  })
  return {
    id: peer.id,
    name: sources.nameOf(peer.id),
    state: peer.state,
    member: memberStatus(sources.memberOf(peer.id)),
    path: active ? pathStatus(active, now, sources.nameOf) : null,
    standby:
      session?.links.filter(link => link !== active && link.ready).map(link => pathStatus(link, now, sources.nameOf)) ??
      [],
    why,
    remedy,
    knownFrom: sources.knownFrom(peer.id),
    streams: session?.streamCount ?? 0,
    ...peer.traffic,
  }
}

/** Of a member that there is nothing with only its presence is known. */
function otherStatus(id: PeerId, sources: StatusSources): PeerStatus {
  const name = sources.nameOf(id)
  const knownFrom = sources.knownFrom(id)
  const here = knownFrom.some(({ source }) => source === 'lan')
  const state = sources.rendezvous.presence(id) === false && !here ? 'offline' : 'idle'
  const { why, remedy } = explain({
    ...surroundings(sources),
    name,
    state,
    path: undefined,
    silentMs: undefined,
    faults: new Map(),
    trying: false,
    lastError: undefined,
    mute: false,
    theirs: undefined,
  })
  const member = memberStatus(sources.memberOf(id))
  return {
    id,
    name,
    state,
    member,
    knownFrom,
    path: null,
    standby: [],
    why,
    remedy,
    streams: 0,
    ...NO_TRAFFIC,
  }
}

/** What the reasons of all peers have in common. */
function surroundings({ rendezvous, situation }: StatusSources) {
  const relays = rendezvous.report()
  const connected = relays.some(({ state }) => state === 'connected')
  return {
    hasRelay: relays.length > 0,
    relayProblem: connected ? null : (relays.find(({ lastError }) => lastError)?.lastError ?? null),
    own: situation,
  }
}

function memberStatus(member: Member | undefined): MemberStatus | null {
  if (!member) return null
  const { roles, admin, notAfter } = member
  return { roles, admin, expiresAt: notAfter === 0 ? null : instant(notAfter) }
}

/** Whatever the number: no status is ended by one. */
function instant(seconds: number): string {
  return new Date(Math.min(seconds, LAST_SECOND) * 1000).toISOString()
}

function endsOf({ path: { local, remote } }: PathLink) {
  return { local, remote }
}

/** How one path is told in `status` and `ping`. */
export function pathStatus(link: PathLink, now: number, nameOf: (peer: PeerId) => string): PathStatus {
  const { local, remote } = link.path
  return {
    kind: link.kind,
    transport: link.transport,
    how: link.how,
    local: local ? formatEndpoint(local) : null,
    remote: remote ? formatEndpoint(remote) : null,
    via: link.via === undefined ? null : nameOf(link.via),
    rttMs: rounded(link.rttMs ?? null),
    sinceS: Math.round((now - link.openedAt) / 1000),
  }
}

function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms * 100) / 100
}
