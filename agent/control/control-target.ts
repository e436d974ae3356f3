import type { Duplex } from 'node:stream'
import type { InviteReply, InviteWish, JoinReply } from '../join/joining.ts'
import type { BenchWish } from '../service/bench.ts'
import type { RoundTrips } from '../service/round-trips.ts'
import type { DevicesOfAdmin } from '../trust/signing.ts'
import type { DoctorReport } from './doctor/report.ts'
import type { AgentStatus, PathStatus } from './status.ts'

/** One round trip to a peer, and the path it took. */
export interface PingReply {
  readonly rttMs: number
  readonly path: Pick<PathStatus, 'kind' | 'transport' | 'how' | 'local' | 'remote' | 'via'>
}

export type BenchDirection = BenchWish['direction']

/** What one direction carried, and how. */
export interface BenchReply {
  readonly direction: BenchDirection
  readonly bytes: number
  readonly ms: number
  readonly bitsPerS: number
  readonly rttMs: { readonly idle: RoundTrips | null; readonly load: RoundTrips | null }
  /** When it began; `pathAtEnd` is null unless the session moved meanwhile. */
  readonly path: PingReply['path']
  readonly pathAtEnd: PingReply['path'] | null
  /** It was kept short because it went over a relay. */
  readonly limitedByRelay: boolean
}

interface Removed {
  readonly id: string
  readonly name: string
}

/** Who was removed from the network; of an admin, what became of those whom he took in. */
export interface RemoveReply extends Removed {
  readonly stay: readonly Removed[]
  readonly gone: readonly Removed[]
}

export interface ForwardReply {
  readonly listen: string
  readonly to: string
}

/** What the control socket offers of a running agent. Peers are given by name or id. */
export interface ControlTarget {
  status(): AgentStatus
  /** The same, after relay lines and paths that were silent for a while were asked whether they live. */
  freshStatus(signal: AbortSignal): Promise<AgentStatus>
  /** Calls the listener whenever the status may have changed; the result stops that. */
  onChange(listener: () => void): () => void
  /**
   * Opens a stream to a service. Errors carry the codes peer-unknown, peer-offline, peer-unreachable, peer-refused,
   * not-authorized, service-unknown or service-unavailable.
   */
  connect(peer: string, service: string, signal: AbortSignal): Promise<Duplex>
  ping(peer: string, signal: AbortSignal): Promise<PingReply>
  /** Measures one direction; bytes flow for so long, which over a relay is short unless that was asked for. */
  bench(peer: string, wish: BenchWish, signal: AbortSignal): Promise<BenchReply>
  /** Looks at everything that paths depend on; a peer that is named is called for it. */
  doctor(peer: string | undefined, signal: AbortSignal): Promise<DoctorReport>
  /** Removes a member from the network: not-authorized when this device may not, peer-unknown when there is no such one. */
  remove(peer: string, devices: DevicesOfAdmin): Promise<RemoveReply>
  /** Makes a join code: usage without a network, not-authorized without the right. */
  invite(wish: InviteWish): Promise<InviteReply>
  /** Joins the network of a code: invite-refused when the inviter says no, not-authorized when it seems not to know it. */
  join(code: string, name: string, signal: AbortSignal): Promise<JoinReply>
  /** Reads the config again; rejects with its faults, as bad-config, and then nothing changes. */
  reload(): Promise<void>
  /**
   * Listens and leads to `PEER/SERVICE`, or with `socks5://` to all, until the agent stops; a taken address is the error
   * port-in-use.
   */
  addForward(listen: string, to: string | undefined): Promise<ForwardReply>
  /** False when there was no forward at that address. */
  removeForward(listen: string): Promise<boolean>
}
