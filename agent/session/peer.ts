import { CulvertError } from '../../common/errors.ts'
import type { Timer } from '../../common/platform/clock.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import type { StreamKind } from '../../common/wire/session-frame.ts'
import type { Path } from '../path/path.ts'
import { isDirect, replacedPaths } from '../path/path-choice.ts'
import type { IncomingCall } from '../rendezvous/rendezvous.ts'
import { AttemptBudget } from './attempt-budget.ts'
import { Caller } from './caller.ts'
import type { Link } from './carriers.ts'
import { DirectKeeper } from './direct-keeper.ts'
import { KnownAddresses } from './known-addresses.ts'
import { isLastWord } from './last-word.ts'
import type { PathLink } from './path-link.ts'
import { PathLog } from './path-log.ts'
import { PathPruner } from './path-pruner.ts'
import { type PathWait, PathWaiters } from './path-waiters.ts'
import type { PeerContext } from './peer-context.ts'
import { PipeSeeker } from './pipe-seeker.ts'
import { RecordTeller } from './record-teller.ts'
import { Session } from './session.ts'
import type { LostPath } from './session-events.ts'
import type { SessionStream } from './stream.ts'
import { addTraffic, NO_TRAFFIC, type Traffic } from './traffic.ts'

export type PeerState = 'connected' | 'connecting' | 'idle' | 'offline' | 'refused'

/** A session without streams is given up after this, unless the config says `keep`. */
const IDLE_MS = 10 * 60_000
/** How long a session outlives its last path: also one without streams here, for the peer may have opened one. */
const SUSPENDED_MS = 120_000
/** A path that broke earlier than this counts like a call that failed. */
const SOUND_MS = 2_000
/** How long a stream waits for a path before its opener is told that there is none. */
const CONNECT_MS = 15_000
/** Two peers may learn of each other at the same moment, as on a LAN: one of them dials first. */
const ADDRESS_TURN_MS = 150
/** A path that something came over so lately needs no ping to be known alive. */
const QUIET_MS = 2_000

/** A round trip, and the path that it went over. */
export interface PathPing {
  readonly link: PathLink
  readonly rttMs: number
}

/** One peer: its session, and the will to have a path under it and then the best one. */
export class Peer {
  readonly id: PeerId
  readonly #context: PeerContext
  readonly #stop = new AbortController()
  readonly #caller: Caller
  readonly #budget: AttemptBudget
  readonly #log: PathLog
  readonly #waiters: PathWaiters
  readonly #pruner: PathPruner
  readonly #pipeSeeker: PipeSeeker
  #keep: boolean
  #session: Session | undefined
  #direct: DirectKeeper | undefined
  #teller: RecordTeller | undefined
  #connectedAt: number | undefined
  /** The session had a path that held for a while, and lost it. */
  #wasSound = false
  /** Set when the peer was closed for good. */
  #ending: CulvertError | undefined
  #idleTimer: Timer | undefined
  #suspendTimer: Timer | undefined
  #turnTimer: Timer | undefined
  #past: Traffic = NO_TRAFFIC
  #usedAt: number

  constructor(id: PeerId, keep: boolean, context: PeerContext) {
    this.id = id
    this.#keep = keep
    this.#context = context
    this.#usedAt = context.clock.now()
    this.#waiters = new PathWaiters(context.clock)
    this.#pruner = new PathPruner(context.clock)
    this.#budget = new AttemptBudget(context.clock)
    this.#log = new PathLog(context.log, context.clock, () => this.#name())
    this.#caller = new Caller({
      peerId: id,
      context,
      signal: this.#stop.signal,
      wanted: () => this.#wanted(),
      waiting: () => this.#waiters.waiting || (this.#session?.streamCount ?? 0) > 0,
      sound: () => this.#session?.active?.suspect === false,
      attach: (path, dialled) => this.attach(path, dialled),
      known: new KnownAddresses({
        peerId: id,
        context,
        budget: this.#budget,
        signal: this.#stop.signal,
        onPath: path => this.#caller.foundKnown(path),
      }),
      onEnd: () => this.#onCallEnd(),
    })
    this.#pipeSeeker = new PipeSeeker({
      clock: context.clock,
      smaller: context.ownId < id,
      wanted: () => this.#wantsPipe(),
      seek: () => this.#caller.seekPipe(),
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
    const active = this.#session?.active
    if (active) return active.suspect ? 'connecting' : 'connected'
    if (this.lastError?.code === 'peer-refused') return 'refused'
    if (this.#caller.calling && this.#caller.failures === 0) return 'connecting'
    if (this.#presence() === false) return 'offline'
    if (this.#caller.calling || this.#wanted()) return 'connecting'
    return this.lastError ? 'offline' : 'idle'
  }

  /** The relay says that the peer is there, but only small messages seem to get to it. */
  get mute(): boolean {
    return this.#caller.mute && this.#presence() !== false
  }

  /** How long there has been nothing with the peer, in ms; undefined while there is. */
  get idleMs(): number | undefined {
    const { calling, answering } = this.#caller
    if (this.#session || calling || answering || this.#wanted()) return undefined
    return this.#context.clock.now() - this.#usedAt
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
    else if (this.#session?.streamCount === 0) this.#onBusy(false)
  }

  /** Opens a stream, or a flow, to a service of this peer, once there is a path. Rejects with why there is none. */
  async openStream(service: string, signal: AbortSignal, kind: StreamKind = 'bytes'): Promise<SessionStream> {
    const session = await this.ready(signal)
    const stream = session.openStream(service, kind)
    // The path may have gone when nothing wanted another one, or be suspect to a call that nobody waited for.
    if (session.active?.suspect !== false) this.#caller.call(false)
    return stream
  }

  /** The session as soon as a path carries it. */
  ready(signal: AbortSignal, limitMs = CONNECT_MS): Promise<Session> {
    const reached = this.#reached()
    if (reached) return Promise.resolve(reached)
    const session = this.#waiters.wait({
      limitMs,
      signal,
      look: () => {
        const found = this.#reached()
        if (found || this.#caller.calling || !this.lastError) return found
        if (isLastWord(this.lastError.code, this.#context.rendezvous())) throw this.lastError
        return undefined
      },
      late: () => this.lastError ?? this.#noPath(),
    })
    if (!signal.aborted) this.#caller.call(true)
    return session
  }

  /** One round trip; where the path in use does not answer, over the next one. */
  async ping(signal: AbortSignal): Promise<PathPing> {
    const { clock } = this.#context
    const until = clock.now() + CONNECT_MS
    for (;;) {
      const session = await this.ready(signal, until - clock.now())
      session.use()
      const link = session.active
      const rttMs = link && (await this.#pingOver(link, until - clock.now(), signal))
      if (link && typeof rttMs === 'number') return { link, rttMs }
      // It gives no answer, and there is no other: it has too many questions already.
      if (link && this.#session?.active === link) throw new CulvertError('busy', 'too many pings are under way')
    }
  }

  /** Asks the path in use whether it lives, when it was silent for a while; resolves when that is known. */
  async look(limitMs: number, signal: AbortSignal): Promise<void> {
    const active = this.#session?.active
    if (!active || active.suspect || active.silentMs < QUIET_MS) return
    const lost = () => this.#session?.active !== active || active.suspect || undefined
    await this.#firstOf(active.ping(), { limitMs, signal, look: lost, late: () => this.#noPath() })
  }

  /** A relay says that the peer came or went. */
  onPresence(online: boolean): void {
    if (online) this.#caller.peerIsThere()
    if (online) this.onRelay()
    this.#context.onChange()
  }

  /** An address of the peer was learnt, or it showed itself again: no relay and no clock need be waited for. */
  onAddress(): void {
    this.#caller.peerIsThere()
    this.#context.onChange()
    if (!this.#lacksTcp()) return
    this.#turnTimer?.cancel()
    const turnMs = this.#inUse() || this.#context.ownId < this.id ? 0 : ADDRESS_TURN_MS
    this.#turnTimer = this.#context.clock.after(turnMs, () => {
      if (this.#lacksTcp()) this.#caller.onAddress()
    })
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

  /** There is a new record of where we are. */
  onOwnRecord(): void {
    this.#teller?.tell()
  }

  /** A path that nobody uses may have gone without a word: it is asked whether it lives. */
  check(): void {
    void this.#session?.ping()
  }

  /** Who made the session needs it no more: it ends, unless somebody else does. */
  rest(): void {
    if (!this.#keep && !this.#inUse()) this.#session?.sendBye()
  }

  /** The peer rings at a relay. */
  answer(call: IncomingCall): Promise<void> {
    return this.#caller.answer(call)
  }

  /** The peer rings over a pipe that another one carries. */
  answerPipe(via: PeerId, stream: SessionStream): void {
    void this.#caller.answerPipe(via, stream)
  }

  /** How the session with it goes. */
  get link(): Link {
    const active = this.#session?.active
    if (!active) return 'none'
    if (isDirect(active)) return 'direct'
    return active.via === undefined ? 'relayed' : 'piped'
  }

  /** Takes a proven path; a session begins with the first. */
  attach(path: Path, dialled: boolean): void {
    if (this.#stop.signal.aborted) path.stream.destroy()
    else this.#ensureSession().attach(path, dialled)
  }

  close(reason: CulvertError): void {
    this.#stop.abort()
    this.#turnTimer?.cancel()
    this.#caller.close()
    this.#pipeSeeker.stop()
    this.#endSession(reason)
    this.#log.close()
    this.#ending = reason
    this.#waiters.wake()
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
        onRecord: bytes => this.#budget.takeRecord() && this.#context.records?.takeFrom(this.id, bytes),
        onIce: (attempt, signal) => this.#direct?.onIce(attempt, signal),
        onPunch: (attempt, signal) => this.#direct?.onPunch(attempt, signal),
        onPaths: lost => this.#onPaths(lost),
        onBacklog: () => this.#direct?.onBacklog(),
        onBusy: busy => this.#onBusy(busy),
        onRestart: () => {
          this.#keepDirect(session)
          this.#context.onUp?.(this.id)
        },
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
    this.#teller = new RecordTeller(this.id, session, this.#context.records)
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
    this.#teller?.tell()
    this.#suspendTimer?.cancel()
    this.#suspendTimer = undefined
    if (this.#connectedAt === undefined) this.#context.onUp?.(this.id)
    this.#connectedAt ??= this.#context.clock.now()
    this.#log.active(active)
    this.#pruner.onPaths(session)
    this.#pipeSeeker.look()
    if (isDirect(active)) this.#direct?.onDirect()
    else this.#direct?.onRelayed()
    // What a call would need is looked at while there is still hope.
    if (active.doubtful) this.#context.rendezvous().ask()
    if (active.doubtful || active.suspect) this.#context.onSuspect()
    if (active.suspect) this.#caller.call(false)
    this.#waiters.wake()
    this.#context.onChange()
  }

  #onPathless(session: Session, lost: LostPath | undefined): void {
    const { clock, onChange } = this.#context
    const sound = this.#isSound()
    this.#wasSound ||= sound
    this.#connectedAt = undefined
    this.#log.pathless()
    this.#direct?.onPathless()
    this.#suspendTimer ??= clock.after(SUSPENDED_MS, () => {
      this.#endSession(new CulvertError('peer-unreachable', `no path to the peer for ${SUSPENDED_MS / 1000} s`))
    })
    if (sound) this.#caller.wasSound()
    if (sound && (this.#keep || this.#inUse())) this.#caller.call(false)
    else if (sound) this.#keepUp()
    else if (!sound && session.links.length === 0) this.#caller.pathBroke(lost?.reason)
    this.#waiters.wake()
    onChange()
  }

  #onBusy(busy: boolean): void {
    this.#idleTimer?.cancel()
    this.#idleTimer = undefined
    if (!busy && !this.#keep) this.#idleTimer = this.#context.clock.after(IDLE_MS, () => this.#session?.sendBye())
    this.#direct?.onBusy(busy)
    this.#pipeSeeker.look()
    this.#context.onChange()
  }

  #onBye(reason: CulvertError): void {
    this.#endSession(reason)
    if (this.#wanted()) this.#caller.call(false)
  }

  #onCallEnd(): void {
    this.#usedAt = this.#context.clock.now()
    this.#waiters.wake()
    this.#context.onChange()
  }

  #endSession(reason: CulvertError): void {
    const session = this.#session
    this.#pruner.stop()
    this.#pipeSeeker.stop()
    for (const timer of [this.#idleTimer, this.#suspendTimer]) timer?.cancel()
    this.#idleTimer = this.#suspendTimer = undefined
    this.#direct?.close()
    this.#direct = this.#teller = undefined
    this.#connectedAt = undefined
    this.#wasSound = false
    this.#log.pathless()
    if (!session) return
    this.#usedAt = this.#context.clock.now()
    this.#past = this.traffic
    this.#session = undefined
    session.close(reason)
    this.#context.onChange()
  }

  #inUse(): boolean {
    return this.#waiters.waiting || (this.#session?.streamCount ?? 0) > 0
  }

  /** Also by a session without streams whose paths are lost: it is to live on, and whoever uses it next not to wait. */
  #wanted(): boolean {
    return this.#keep || this.#inUse() || this.#isFailing()
  }

  /** Somebody would be better off with a path that an address alone can give. */
  #lacksTcp(): boolean {
    const active = this.#session?.active
    return active ? active.suspect || active.kind !== 'tcp' : this.#wanted()
  }

  #wantsPipe(): boolean {
    const session = this.#session
    if (this.link !== 'relayed' || !this.#context.pipes || !session || session.streamCount === 0) return false
    return !session.links.some(link => link.via !== undefined)
  }

  #presence(): boolean | undefined {
    return this.#context.sources.isPresent(this.id) || this.#context.rendezvous().presence(this.id)
  }

  #isFailing(): boolean {
    if (this.#suspendTimer) return this.#wasSound
    return this.#isSound() && this.#session?.active?.suspect === true
  }

  #isSound(): boolean {
    return this.#connectedAt !== undefined && this.#context.clock.now() - this.#connectedAt >= SOUND_MS
  }

  #reached(): Session | undefined {
    const session = this.#session
    return session?.active && !session.leaving ? session : undefined
  }

  /** Waits for a change of the paths, and for an answer of one of them. */
  async #firstOf<T, U>(answer: Promise<T>, wait: PathWait<U>): Promise<T | U> {
    const over = new AbortController()
    const changed = this.#waiters.wait({ ...wait, signal: AbortSignal.any([wait.signal, over.signal]) })
    // It is ended below, and then nobody looks at how.
    changed.catch(() => undefined)
    try {
      return await Promise.race([answer, changed])
    } finally {
      over.abort()
    }
  }

  #pingOver(link: PathLink, limitMs: number, signal: AbortSignal): Promise<number | 'moved' | undefined> {
    const look = () => (this.#session?.active === link ? undefined : ('moved' as const))
    return this.#firstOf(link.ping(), { limitMs, signal, look, late: () => this.lastError ?? this.#noPath() })
  }

  /** The side with the smaller id calls at once. */
  #keepUp(): void {
    if (this.#session?.active || this.#stop.signal.aborted) return
    if (this.#context.ownId < this.id) this.#caller.call(false)
    else this.#caller.callLater()
  }

  #noPath(): CulvertError {
    return new CulvertError('peer-unreachable', `no path to ${this.#name()} in ${CONNECT_MS} ms`)
  }

  #name(): string {
    return this.#context.nameOf(this.id)
  }
}
