import type { CulvertError } from '../../common/errors.ts'
import type { Clock } from '../../common/platform/clock.ts'
import type { Random } from '../../common/platform/random.ts'
import type { Candidate } from '../../common/wire/candidate.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import type { PunchSignal } from '../../common/wire/punch-signal.ts'
import type { IceSignal } from '../../common/wire/session-frame.ts'
import type { Situation } from '../../common/wire/situation.ts'
import type { PathLink } from './path-link.ts'
import type { SessionStream } from './stream.ts'
import type { WindowBudget } from './window.ts'

/** Please try every direct way to these now; or: make a path over UDX beside the one over TCP. */
export type CandidatesWish = 'try-now' | 'udx-beside'

/** A path that ended by itself, and why. */
export interface LostPath {
  readonly link: PathLink
  readonly reason: CulvertError
}

/** What the peer tells so that better paths are found. */
export interface SignalEvents {
  onCandidates(candidates: readonly Candidate[], wish: CandidatesWish | undefined): void
  onSituation(situation: Situation): void
  /** What probes between the two are sealed with; from the peer with the smaller id. */
  onProbeSecret(secret: Uint8Array): void
  /** Where the peer is to be found; nothing of it was looked at. */
  onRecord(bytes: Uint8Array): void
  onIce(attempt: number, signal: IceSignal): void
  onPunch(attempt: number, signal: PunchSignal): void
}

export interface SessionEvents extends SignalEvents {
  /** The peer opens a stream; the service layer accepts or resets it. */
  onStream(stream: SessionStream): void
  /** A path became ready, doubtful, suspect, sound or was lost (then with which and why), or another one is in use now. */
  onPaths(lost?: LostPath): void
  /** Much waits to be acknowledged; told once, until `watchBacklog`. */
  onBacklog(): void
  /** The number of streams went from or to zero. */
  onBusy(busy: boolean): void
  /** The peer has lost the state of this session (a restart): all streams are gone, the paths are new. */
  onRestart(): void
  /** Another process with the peer's key came over this path, and was turned away. */
  onClone(link: PathLink): void
  /** The session is over: both sides agreed that nothing is going on, or the peer ended it for this reason. */
  onBye(reason?: CulvertError): void
}

export interface SessionOptions {
  readonly ownId: PeerId
  readonly peerId: PeerId
  readonly clock: Clock
  readonly random: Random
  readonly budget: WindowBudget
  readonly events: SessionEvents
}
