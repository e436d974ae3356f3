import { CulvertError } from '../../common/errors.ts'
import type { Timer } from '../../common/platform/clock.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import type { StreamKind } from '../../common/wire/session-frame.ts'
import { PREFERRED_MS } from '../path/bulk-choice.ts'
import type { Path } from '../path/path.ts'
import { isDirect, replacedPaths, superfluousPaths } from '../path/path-choice.ts'
import type { IncomingCall } from '../rendezvous/rendezvous.ts'
import { AttemptBudget } from './attempt-budget.ts'
import { Caller } from './caller.ts'
import { DirectKeeper } from './direct-keeper.ts'
import { dialKnownAddress } from './known-addresses.ts'
import type { PathLink } from './path-link.ts'
import { PathLog } from './path-log.ts'
import type { PeerContext } from './peer-context.ts'
import { Session } from './session.ts'
import type { LostPath } from './session-events.ts'
import type { SessionStream } from './stream.ts'
import { addTraffic, NO_TRAFFIC, type Traffic } from './traffic.ts'

export type PeerState = 'connected' | 'connecting' | 'idle' | 'offline' | 'refused'

/** A session without streams is given up after this, unless the config says `keep`. */
const IDLE_MS = 10 * 60_000
/** How long a session outlives its last path: also one without streams here, for the peer may have opened one. */
const SUSPENDED_MS = 120_000
/** How long a better path must have been sound before the others are closed. */
const SETTLE_MS = 5_000
/** A path that the peer, or a trial of ours, sent user bytes on so lately is still wanted. */
const UNUSED_MS = 8_000
/** One over UDX that carried so much was the faster one for a long stream, and the next one may come soon. */
const LONG_STREAM_BYTES = 8 * 1024 * 1024
const LONG_UNUSED_MS = PREFERRED_MS
/** A path that broke earlier than this counts like a call that failed. */
const SOUND_MS = 2_000
/** How long a stream waits for a path before its opener is told that there is none. */
const CONNECT_MS = 15_000

/** One peer: its session, and the will to have a path under it and then the best one. */
export class Peer {
  readonly id: PeerId
  readonly #context: PeerContext
  readonly #stop = new AbortController()
  readonly #caller: Caller
  readonly #budget: AttemptBudget
  readonly #log: PathLog
  readonly #waiters = new Set<() => void>()
  #keep: boolean
  #session: Session | undefined
  #direct: DirectKeeper | undefined
  #connectedAt: number | undefined
  /** Set when the peer was closed for good. */
  #ending: CulvertError | undefined
  #settleTimer: Timer | undefined
  #idleTimer: Timer | undefined
  #suspendTimer: Timer | undefined
  #past: Traffic = NO_TRAFFIC

  constructor(id: PeerId, keep: boolean, context: PeerContext) {
    this.id = id
    this.#keep = keep
    this.#context = context
    this.#budget = new AttemptBudget(context.clock)
    this.#log = new PathLog(context.log, context.clock, () => this.#name())
    this.#caller = new Caller({
      peerId: id,
      context,
      signal: this.#stop.signal,
      wanted: () => this.#wanted(),
      waiting: () => this.#waiters.size > 0 || (this.#session?.streamCount ?? 0) > 0,
      sound: () => this.#session?.active?.suspect === false,
      attach: (path, dialled) => this.attach(path, dialled),
      dialKnown: signal => dialKnownAddress(id, context, this.#budget, signal),
      onEnd: () => this.#onCallEnd(),
    })
    if (keep) this.#keepUp()
  }

  get session(): Session | undefined {
    return this.#session
  }

  /** What is being done for a direct path, while there is a session. */
  get direct(): DirectKeeper | undefined {
    return this.#direct
  }

  /** Why the peer could not be reached the last time. */
  get lastError(): CulvertError | undefined {
    return this.#ending ?? this.#caller.lastError
  }

  get state(): PeerState {
    if (this.#session?.active) return 'connected'
    if (this.lastError?.code === 'peer-refused') return 'refused'
    if (this.#caller.calling && this.#caller.failures === 0) return 'connecting'
    if (this.#context.rendezvous().presence(this.id) === false) return 'offline'
    if (this.#caller.calling || this.#wanted()) return 'connecting'
    return this.lastError ? 'offline' : 'idle'
  }

  /** The relay says that the peer is there, but only small messages seem to get to it. */
  get mute(): boolean {
    return this.#caller.mute && this.#context.rendezvous().presence(this.id) !== false
  }

  /** A relay carries it. Who keeps such a session up may be the other side, so this is enough to want it direct. */
  get wantsDirect(): boolean {
    return this.#session?.active?.kind === 'relay'
  }

  get traffic(): Traffic {
    return this.#session ? addTraffic(this.#past, this.#session.traffic) : this.#past
  }

  set keep(keep: boolean) {
    this.#keep = keep
    if (keep) this.#keepUp()
  }

  /** Opens a stream, or a flow, to a service of this peer, once there is a path. Rejects with why there is none. */
  async openStream(service: string, signal: AbortSignal, kind: StreamKind = 'bytes'): Promise<SessionStream> {
    const session = await this.ready(signal)
    const stream = session.openStream(service, kind)
    // The path may have gone in the moment between, when nothing wanted another one.
    if (!session.active) this.#caller.call(false)
    return stream
  }

  /** The session as soon as a path carries it. */
  ready(signal: AbortSignal): Promise<Session> {
    const session = this.#session
    if (session?.active && !session.leaving) return Promise.resolve(session)
    const { clock } = this.#context
    return new Promise((resolve, reject) => {
      const until = clock.now() + CONNECT_MS
      const settle = () => {
        timer.cancel()
        this.#waiters.delete(look)
        signal.removeEventListener('abort', abort)
      }
      const fail = (error: CulvertError) => {
        settle()
        reject(error)
      }
      const abort = () => fail(new CulvertError('aborted', 'connecting was aborted', { cause: signal.reason }))
      const look = () => {
        if (this.#session?.active && !this.#session.leaving) {
          settle()
          resolve(this.#session)
        } else if (!this.#caller.calling && this.lastError && !this.#mayStillCome(until)) {
          fail(this.lastError)
        }
      }
      const timer = clock.after(CONNECT_MS, () => fail(this.lastError ?? this.#noPath()))
      signal.addEventListener('abort', abort, { once: true })
      this.#waiters.add(look)
      if (signal.aborted) abort()
      else this.#caller.call(true)
    })
  }

  /** A relay says that the peer came or went. */
  onPresence(online: boolean): void {
    if (online) this.onRelay()
    this.#context.onChange()
  }

  /** A relay line came up: whoever waits for this peer need not wait for the clock. */
  onRelay(): void {
    this.#caller.relayIsUp()
    if (this.#wanted() && this.#session?.active?.suspect !== false) this.#caller.callAnew()
    this.#direct?.onRelay()
  }

  /** Something about our own network changed. */
  onNetworkChange(): void {
    this.onRelay()
    this.#direct?.onNetworkChange()
  }

  /** The peer rings at a relay. */
  answer(call: IncomingCall): Promise<void> {
    return this.#caller.answer(call)
  }

  /** Takes a proven path; a session begins with the first. */
  attach(path: Path, dialled: boolean): void {
    if (this.#stop.signal.aborted) path.stream.destroy()
    else this.#ensureSession().attach(path, dialled)
  }

  close(reason: CulvertError): void {
    this.#stop.abort()
    this.#caller.close()
    this.#endSession(reason)
    this.#ending = reason
    this.#wake()
  }

  #ensureSession(): Session {
    if (this.#session) return this.#session
    const { ownId, clock, random, budget, onStream } = this.#context
    const session = new Session({
      ownId,
      peerId: this.id,
      clock,
      random,
      budget,
      events: {
        onStream: stream => onStream(this.id, stream),
        onCandidates: (candidates, wish) => this.#direct?.onCandidates(candidates, wish),
        onSituation: situation => this.#direct?.onSituation(situation),
        onProbeSecret: secret => this.#direct?.onProbeSecret(secret),
        onIce: (attempt, signal) => this.#direct?.onIce(attempt, signal),
        onPunch: (attempt, signal) => this.#direct?.onPunch(attempt, signal),
        onPaths: lost => this.#onPaths(lost),
        onBacklog: () => this.#direct?.onBacklog(),
        onBusy: busy => this.#onBusy(busy),
        onRestart: () => this.#keepDirect(session),
        onClone: ({ path }) => this.#log.clone(path),
        onBye: reason => this.#onBye(reason ?? new CulvertError('session-closed', 'the session was idle')),
      },
    })
    this.#session = session
    this.#keepDirect(session)
    this.#onBusy(false)
    return session
  }

  #keepDirect(session: Session): void {
    this.#direct?.close()
    const attach = (path: Path, dialled: boolean) => this.attach(path, dialled)
    this.#direct = new DirectKeeper(this.id, session, this.#context, this.#budget, attach)
  }

  #onPaths(lost?: LostPath): void {
    const session = this.#session
    if (!session) return
    if (lost) this.#log.lost(lost)
    const replaced = replacedPaths(session.links)
    if (replaced.length > 0) {
      session.drop(replaced)
      return
    }
    const { active } = session
    if (!active) {
      this.#onPathless(session, lost)
      return
    }
    this.#caller.succeeded()
    this.#suspendTimer?.cancel()
    this.#suspendTimer = undefined
    this.#connectedAt ??= this.#context.clock.now()
    this.#log.active(active)
    this.#settleLater(session)
    if (isDirect(active)) this.#direct?.onDirect()
    else this.#direct?.onRelayed()
    // What a call would need is looked at while there is still hope.
    if (active.doubtful && session.streamCount > 0) this.#context.rendezvous().ask()
    if (active.doubtful || active.suspect) this.#context.onSuspect()
    if (active.suspect) this.#caller.call(false)
    this.#wake()
    this.#context.onChange()
  }

  /** Closes what a better path makes superfluous, as soon as nobody has used it for a while. */
  #settleLater(session: Session): void {
    if (this.#settleTimer || session.links.length < 2) return
    this.#settleTimer = this.#context.clock.after(SETTLE_MS, () => {
      this.#settleTimer = undefined
      if (!session.active || this.#session !== session) return
      session.drop(superfluousPaths(session.links, session.active).filter(isUnused))
      if (!session.preferred) this.#settleLater(session)
    })
  }

  #onPathless(session: Session, lost: LostPath | undefined): void {
    const { clock, onChange } = this.#context
    const sound = this.#connectedAt !== undefined && clock.now() - this.#connectedAt >= SOUND_MS
    this.#connectedAt = undefined
    this.#log.pathless()
    this.#direct?.onPathless()
    this.#suspendTimer ??= clock.after(SUSPENDED_MS, () => {
      this.#endSession(new CulvertError('peer-unreachable', `no path to the peer for ${SUSPENDED_MS / 1000} s`))
    })
    if (sound) this.#caller.wasSound()
    if (sound && this.#wanted()) this.#caller.call(false)
    else if (!sound && session.links.length === 0) this.#caller.pathBroke(lost?.reason)
    this.#wake()
    onChange()
  }

  #onBusy(busy: boolean): void {
    this.#idleTimer?.cancel()
    this.#idleTimer = undefined
    if (!busy && !this.#keep) this.#idleTimer = this.#context.clock.after(IDLE_MS, () => this.#session?.sendBye())
    this.#direct?.onBusy(busy)
    this.#context.onChange()
  }

  #onBye(reason: CulvertError): void {
    this.#endSession(reason)
    if (this.#wanted()) this.#caller.call(false)
  }

  #onCallEnd(): void {
    this.#wake()
    this.#context.onChange()
  }

  #endSession(reason: CulvertError): void {
    const session = this.#session
    for (const timer of [this.#settleTimer, this.#idleTimer, this.#suspendTimer]) timer?.cancel()
    this.#settleTimer = this.#idleTimer = this.#suspendTimer = undefined
    this.#direct?.close()
    this.#direct = undefined
    this.#connectedAt = undefined
    this.#log.pathless()
    if (!session) return
    this.#past = this.traffic
    this.#session = undefined
    session.close(reason)
    this.#context.onChange()
  }

  #wanted(): boolean {
    return this.#keep || this.#waiters.size > 0 || (this.#session?.streamCount ?? 0) > 0
  }

  #mayStillCome(until: number): boolean {
    const { clock } = this.#context
    const rendezvous = this.#context.rendezvous()
    // Many calls at once, as after an outage, pass.
    if (this.lastError?.code === 'busy') return clock.now() < until
    // Just after the start no relay is connected yet; that is no answer about the peer.
    return this.lastError?.code === 'relay-unreachable' && rendezvous.connecting && clock.now() < until
  }

  /** The kept side with the smaller id calls at once. */
  #keepUp(): void {
    if (this.#session?.active || this.#stop.signal.aborted) return
    if (this.#context.ownId < this.id) this.#caller.call(false)
    else this.#caller.callLater()
  }

  #wake(): void {
    for (const look of [...this.#waiters]) look()
  }

  #noPath(): CulvertError {
    return new CulvertError('peer-unreachable', `no path to ${this.#name()} in ${CONNECT_MS} ms`)
  }

  #name(): string {
    return this.#context.nameOf(this.id)
  }
}

function isUnused(link: PathLink): boolean {
  const long = link.transport === 'udx' && link.bytesIn + link.bytesOut >= LONG_STREAM_BYTES
  return link.unusedMs >= (long ? LONG_UNUSED_MS : UNUSED_MS)
}
