import type { Duplex } from 'node:stream'
import type { Clock } from '../../../common/platform/clock.ts'
import type { Log } from '../../../common/platform/log.ts'
import type { DirectHow } from '../../../common/wire/candidate.ts'
import type { Endpoint } from '../../../common/wire/endpoint.ts'
import type { IceSignal } from '../../../common/wire/session-frame.ts'
import { IceAttempt } from './ice-attempt.ts'
import { closeAllNative } from './native.ts'

/** How far an attempt has come; where it stopped tells what stands in the way. */
export type AttemptStage =
  /** Waiting for the peer's description. */
  | 'signalling'
  /** ICE looks for a pair of addresses that answer: stops here when no way through the NATs was found. */
  | 'checking'
  /** DTLS and SCTP shake hands: stops here on the library's early DTLS fault, which a new attempt mends. */
  | 'securing'
  /** Waiting for the first full-sized packet: stops here when the path swallows packets of `mtu` bytes. */
  | 'probing'
  | 'open'

export interface DatachannelOptions {
  readonly role: 'offerer' | 'answerer'
  /** The same text for all attempts with one peer. */
  readonly peer: string
  /** One is asked: the first with an IPv4 address, else the first. */
  readonly stunServers: readonly Endpoint[]
  /** The agent's own fixed UDP port, shared by all its data channels, or undefined for any port. */
  readonly udpPort: number | undefined
  /** The outside endpoint that the router maps to `udpPort`, given to the peer as one more candidate. */
  readonly mappedEndpoint: Endpoint | undefined
  /**
   * Whether a filter (RFC 4787 §5: address-dependent or stricter, or a firewall) stands before our socket; by default
   * guessed from our addresses. Decides who begins the DTLS handshake; a wrong answer costs a second at most.
   */
  readonly filtered?: boolean
  /** The peer's candidates with such an address are not taken; by default all are. */
  readonly isOwnAddress?: (address: string) => boolean
  /** Sends to the peer's end of the same attempt. */
  readonly send: (signal: IceSignal) => void
  readonly clock: Clock
  /** The longest wait for the next stage (default 3000), not for all of them: a far peer needs many round trips. */
  readonly timeoutMs?: number
  /** Size in bytes of the IP packets we send, 576 to 1500, default 1280. */
  readonly mtu?: number
  /** Binds to one address; by default to all, or to loopback where there is nothing else. */
  readonly bindAddress?: string
  readonly signal: AbortSignal
  readonly log: Log
}

/** A byte stream to the peer's machine over UDP. DTLS seals it, but who the peer is must be proven on top of it. */
export interface DatachannelPath {
  readonly stream: Duplex
  readonly local: Endpoint
  readonly remote: Endpoint
  readonly how: DirectHow
  close(): void
  /** Calls the listener once, when the path has ended for whatever reason; soon if it has already. */
  onDown(listener: () => void): void
}

export interface DatachannelAttempt {
  /** Takes a signal of the peer's. Never throws; garbage fails the attempt. */
  receive(signal: IceSignal): void
  /** Rejects with `timed-out`, `aborted`, `peer-unreachable` or `wire-malformed`, with everything freed. */
  readonly done: Promise<DatachannelPath>
  readonly stage: AttemptStage
  /** Ends the attempt, or the path when it is open. */
  abort(reason?: unknown): void
}

/** Starts one attempt to connect two peers by ICE. It sends its signals at once and ends by itself. */
export function startDatachannel(options: DatachannelOptions): DatachannelAttempt {
  const attempt: IceAttempt = new IceAttempt(options, () => live.delete(attempt))
  live.add(attempt)
  attempt.start()
  return attempt
}

const live = new Set<IceAttempt>()

/** Ends every attempt and path, and the library's threads: for the end of the process, which may then exit at once. */
export function closeAllDatachannels(): void {
  for (const attempt of [...live]) attempt.close()
  closeAllNative()
}
