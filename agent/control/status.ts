import type { FilteringBehaviour, MappingBehaviour } from '../nat/behaviour.ts'
import type { PathHow, PathKind, PathTransport } from '../path/path.ts'
import type { PeerState } from '../session/peer.ts'
import type { OwnStanding } from '../trust/network.ts'
import type { KnownFrom } from './known-from.ts'

/** What `culvert status --json` prints: the names are a contract with whoever reads them. Endpoints are `ip:port`. */
export interface AgentStatus {
  readonly peer: { readonly id: string; readonly name: string }
  readonly version: string
  readonly uptimeS: number
  readonly relays: readonly RelayStatus[]
  readonly nat: NatStatus
  /** The network that this device belongs to; null: none. */
  readonly network: NetworkStatus | null
  /** What this device carries between peers; null: its owner does not let it. */
  readonly peerRelay: PeerRelayStatus | null
  readonly peers: readonly PeerStatus[]
  /** Who called lately and is not in "peers", newest first; the last few. */
  readonly strangers: readonly StrangerStatus[]
  readonly services: readonly { readonly name: string; readonly target: string }[]
  readonly forwards: readonly ForwardStatus[]
}

export interface NetworkStatus {
  readonly id: string
  /** What this device is in it; `unknown`: its roster was lost. */
  readonly standing: OwnStanding
  /** This device included. */
  readonly members: number
  /** This device may take in and remove members. */
  readonly admin: boolean
  /** It holds the key of the network. */
  readonly root: boolean
  /** What is wrong with the own membership or with what is kept of the roster, and what would mend it. */
  readonly problem: string | null
}

/** A peer in our network. */
export interface MemberStatus {
  readonly roles: readonly string[]
  readonly admin: boolean
  /** ISO 8601; null: no end. */
  readonly expiresAt: string | null
}

export interface PeerRelayStatus {
  readonly mbit: number
  readonly gbPerDay: number
  readonly pipes: number
  /** Carried in the last 24 hours. */
  readonly dayBytes: number
  /** Pipes that are open, between whom. */
  readonly carried: readonly {
    readonly from: string
    readonly to: string
    readonly bytes: number
    readonly sinceS: number
  }[]
}

export interface StrangerStatus {
  readonly id: string
  readonly agoS: number
}

export interface RelayStatus {
  readonly url: string
  readonly state: 'connected' | 'connecting' | 'refused'
  readonly rttMs: number | null
  readonly lastError: string | null
}

export interface NatStatus {
  readonly udp: {
    readonly mapping: MappingBehaviour
    readonly filtering: FilteringBehaviour
    readonly address: string | null
  }
  readonly tcp: { readonly mapping: MappingBehaviour; readonly address: string | null }
  /** How long ago STUN servers told that; null: never. */
  readonly seenAgoS: number | null
  /** The router's outside address is itself behind a carrier's NAT. */
  readonly carrierNat: boolean
  readonly portMapping: {
    readonly protocol: 'upnp' | 'nat-pmp' | 'pcp' | 'none'
    readonly tcp: string | null
    readonly udp: string | null
    /** The mapping was seen to work from outside. */
    readonly verified: boolean
    readonly problem: string | null
  }
  /** What looking for ways through routers costs them. */
  readonly probeBudget: {
    /** Of ours, alive in their tables now. */
    readonly entries: number
    readonly peakEntries: number
    /** Sent since the start. */
    readonly packets: number
    /** Entries that there may be. */
    readonly limit: number
  }
}

export interface PathStatus {
  readonly kind: PathKind
  readonly transport: PathTransport
  readonly how: PathHow
  readonly local: string | null
  readonly remote: string | null
  /** The peer that carries it; null: none does. */
  readonly via: string | null
  readonly rttMs: number | null
  readonly sinceS: number
}

export interface PeerStatus {
  readonly id: string
  readonly name: string
  readonly state: PeerState
  /** Null: it is named by the config alone. */
  readonly member: MemberStatus | null
  /** The path that carries the session now. */
  readonly path: PathStatus | null
  /** Paths that are up besides. */
  readonly standby: readonly PathStatus[]
  /** One sentence: why this path, or why none. */
  readonly why: string
  /** One sentence: what would make it better. */
  readonly remedy: string | null
  /** Who says where it is, or that it is a peer. */
  readonly knownFrom: readonly KnownFrom[]
  readonly streams: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly relayBytesIn: number
  readonly relayBytesOut: number
  readonly datagramsIn: number
  readonly datagramsOut: number
  /** Given up here, either way: too many, too late, or with a part missing. */
  readonly datagramsDropped: number
}

export interface ForwardStatus {
  readonly listen: string
  readonly to: string
  readonly state: 'listening' | 'failed'
  /** Why it does not listen. */
  readonly problem: string | null
  /** Of its last use; null when that went well. */
  readonly lastFailure: { readonly reason: string; readonly agoS: number } | null
}
