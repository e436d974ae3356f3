import type { Clock } from '../../common/platform/clock.ts'
import type { Log } from '../../common/platform/log.ts'
import type { Random } from '../../common/platform/random.ts'
import type { Candidate } from '../../common/wire/candidate.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import type { Situation } from '../../common/wire/situation.ts'
import type { ProbeBudget } from '../nat/probe-budget.ts'
import type { UdpPorts } from '../nat/udp-ports.ts'
import type { Sealer } from '../path/seal.ts'
import type { AddressSources } from '../rendezvous/address-source.ts'
import type { Rendezvous } from '../rendezvous/rendezvous.ts'
import type { Carrier } from './carriers.ts'
import type { UdpSituation } from './datachannels.ts'
import type { PathMemory } from './path-memory.ts'
import type { SearchGate } from './search-gate.ts'
import type { SessionStream } from './stream.ts'
import type { WindowBudget } from './window.ts'

/** What all peers of one agent share. */
export interface PeerContext {
  readonly ownId: PeerId
  readonly sealer: Sealer
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly budget: WindowBudget
  readonly memory: PathMemory
  /** Where peers may be found without a relay. */
  readonly sources: AddressSources
  /** Where devices say that they are; absent where nobody keeps it. */
  readonly records?: {
    /** Our own, for a peer who may be told. */
    own(peer: PeerId): Uint8Array | undefined
    /** A peer tells its own; throws `wire-malformed` when it is not. */
    takeFrom(peer: PeerId, bytes: Uint8Array): void
  }
  /** Peers that carry for others; absent where nobody asks them. */
  readonly pipes?: {
    /** Those that we have a session with, and some of the others. */
    carriers(): readonly Carrier[]
    carries(peer: PeerId): boolean
    /** Opens a stream there over a direct path, which it may take a call to get. */
    open(via: PeerId, service: string, signal: AbortSignal): Promise<SessionStream>
  }
  /** How long user bytes wait for a direct path, in ms. */
  readonly graceMs: () => number
  readonly rendezvous: () => Rendezvous
  /** Where peers may reach us. */
  readonly candidates: () => readonly Candidate[]
  /** It is one of this machine's, now. */
  readonly isOwnAddress: (address: string) => boolean
  /** The peer's agent runs on this machine, in the same network namespace. */
  readonly isOnThisMachine: (peer: PeerId) => boolean
  /** What the network around this machine is like. */
  readonly situation: () => Situation
  readonly stunServers: () => readonly Endpoint[]
  /** Our own UDP port; undefined where UDX cannot be had. */
  readonly ports: UdpPorts | undefined
  /** For data channels. */
  readonly udp: () => UdpSituation | undefined
  /** The router gives each destination another TCP port. */
  readonly hardTcpNat: () => boolean
  /** Our router's own address outside, where it stands behind another NAT and tells it. */
  readonly addressBetweenNats?: () => string | undefined
  /** The same of UDP. */
  readonly hardUdpNat: () => boolean
  /** What probing to all peers together may cost the routers. */
  readonly probes: ProbeBudget
  readonly searchGate: SearchGate
  /** The name that the config gives a peer, for the log. */
  readonly nameOf: (peer: PeerId) => string
  /** No direct way to a peer was found. */
  readonly onObstacle: () => void
  /** A path stopped answering: perhaps our own network is another one now. */
  readonly onSuspect: () => void
  readonly onStream: (peer: PeerId, stream: SessionStream) => void
  /** A session with the peer came up, or began anew. */
  readonly onUp?: (peer: PeerId) => void
  readonly onChange: () => void
}
