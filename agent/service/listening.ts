import type { CulvertError } from '../../common/errors.ts'
import type { Clock } from '../../common/platform/clock.ts'
import type { StreamKind } from '../../common/wire/session-frame.ts'
import type { PeerService } from '../config/name.ts'
import type { SessionStream } from '../session/stream.ts'

/** A forward's listener at work. */
export interface Listening {
  /** Stops listening and ends what came in. */
  close(): Promise<void>
}

/** What every kind of listener needs. */
export interface ListenContext {
  readonly clock: Clock
  readonly open: OpenStream
  /** Names of the peers that there are now. */
  readonly peerNames: () => readonly string[]
  /** A local program sees a reset at most, so the log says why; not once per connection. */
  readonly complain: (to: PeerService, error: CulvertError) => void
}

/** Opens a stream, or a flow, to a service of a peer, by name or id. */
export type OpenStream = (
  peer: string,
  service: string,
  signal: AbortSignal,
  kind: StreamKind,
) => Promise<SessionStream>
