import type { TLSSocket } from 'node:tls'
import type { DirectHow } from '../../common/wire/candidate.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import type { DatagramChannel } from '../nat/udp-port.ts'

export type PathKind = 'tcp' | 'udp' | 'relay'
export type PathTransport = 'tcp' | 'udx' | 'datachannel' | 'pipe'
export type PathHow = DirectHow | 'relay'

/** What can be told about a path without touching it. */
export interface PathFacts {
  readonly kind: PathKind
  readonly transport: PathTransport
  readonly how: PathHow
  /** Undefined where the carrier has no address of its own, as with a relay behind a proxy. */
  readonly local: Endpoint | undefined
  readonly remote: Endpoint | undefined
  /** The peer that carries it, where that is no relay. */
  readonly via?: PeerId
}

/** One authenticated, encrypted way to one peer: a sealed byte stream, whatever carries it. */
export interface Path extends PathFacts {
  readonly peer: PeerId
  /** TLS to the peer itself. Destroying it frees the carrier beneath. */
  readonly stream: TLSSocket
  /** Bytes that have arrived, as the carrier knows it; the peer's acknowledgements wait for those before them. */
  readonly arrivedBytes?: () => number
  /** Beside the stream, on a path that can carry them; bare: nothing seals them. It ends with the stream. */
  readonly datagrams?: DatagramChannel
}
