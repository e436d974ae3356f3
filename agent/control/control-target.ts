import type { Duplex } from 'node:stream'
import type { AgentStatus, PathStatus } from './status.ts'

/** One round trip to a peer, and the path it took. */
export interface PingReply {
  readonly rttMs: number
  readonly path: Pick<PathStatus, 'kind' | 'transport' | 'how' | 'local' | 'remote'>
}

export interface ForwardReply {
  readonly listen: string
  readonly to: string
}

/** What the control socket offers of a running agent. Peers are given by name or id. */
export interface ControlTarget {
  status(): AgentStatus
  /** Calls the listener whenever the status may have changed; the result stops that. */
  onChange(listener: () => void): () => void
  /**
   * Opens a stream to a service. Errors carry the codes peer-unknown, peer-offline, peer-unreachable, peer-refused,
   * not-authorized, service-unknown or service-unavailable.
   */
  connect(peer: string, service: string, signal: AbortSignal): Promise<Duplex>
  ping(peer: string, signal: AbortSignal): Promise<PingReply>
  /** Listens and leads to `PEER/SERVICE` until the agent stops; a taken address is the error port-in-use. */
  addForward(listen: string, to: string): Promise<ForwardReply>
  /** False when there was no forward at that address. */
  removeForward(listen: string): Promise<boolean>
}
