import { asCulvertError, CulvertError } from '../../common/errors.ts'
import type { Clock, Timer } from '../../common/platform/clock.ts'
import type { Log } from '../../common/platform/log.ts'
import type { Random } from '../../common/platform/random.ts'
import type { Candidate } from '../../common/wire/candidate.ts'
import { addressScope, type Endpoint } from '../../common/wire/endpoint.ts'
import { type PeerId, shortPeerId } from '../../common/wire/peer-id.ts'
import type { Path } from '../path/path.ts'
import { isDirect, superfluousPaths } from '../path/path-choice.ts'
import type { Sealer } from '../path/seal.ts'
import { endsOf } from '../path/tcp-path.ts'
import type { IncomingCall, OpenPipe, Rendezvous } from '../rendezvous/rendezvous.ts'
import { DirectRace, type UdpSituation } from './direct-race.ts'
import { directRetryMs, recallMs } from './direct-schedule.ts'
import { Session } from './session.ts'
import type { SessionStream } from './stream.ts'
import type { WindowBudget } from './window.ts'

export type PeerState = 'connected' | 'connecting' | 'idle' | 'offline' | 'refused'

/** A session without streams is given up after this, unless the config says `keep`. */
const IDLE_MS = 10 * 60_000
/** How long streams outlive their last path. */
const SUSPENDED_MS = 120_000
/** How long a better path must have been sound before the others are closed. */
const SETTLE_MS = 5_000
/** How long a stream waits for a path before its opener is told that there is none. */
const CONNECT_MS = 15_000

/** What all peers of one agent share. */
export interface PeerContext {
  readonly ownId: PeerId
  readonly sealer: Sealer
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly budget: WindowBudget
  readonly graceMs: () => number
  readonly rendezvous: () => Rendezvous
  readonly candidates: () => readonly Candidate[]
  readonly stunServers: () => readonly Endpoint[]
  readonly udp: () => UdpSituation | undefined
  /** The router gives each destination another TCP port. */
  readonly hardTcpNat: () => boolean
  readonly onStream: (peer: Peer, stream: SessionStream) => void
  readonly onChange: () => void
}

/** One peer: its session, the paths under it, and the will to have the best of them. */
export class Peer {
  readonly id: PeerId
  readonly #context: PeerContext
  readonly #stop = new AbortController()
  #keep: boolean
  #session: Session | undefined
  #race: DirectRace | undefined
  #calling: Promise<void> | undefined
  #callFailures = 0
  #directFailures = 0
  /** With this network, no direct way was found: user bytes need not wait for one. */
  #hopeless = false
  #lastError: CulvertError | undefined
  #connectedAt: number | undefined
  #announced = ''
  readonly #waiters = new Set<() => void>()
  #recall: Timer | undefined
  #graceTimer: Timer | undefined
  #retryTimer: Timer | undefined
  #settleTimer: Timer | undefined
  #idleTimer: Timer | undefined
  #suspendTimer: Timer | undefined
  #past = { bytesIn: 0, bytesOut: 0, relayBytesIn: 0, relayBytesOut: 0 }

  constructor(id: PeerId, keep: boolean, context: PeerContext) {
    this.id = id
    this.#keep = keep
    this.#context = context
    if (keep) this.#keepUp()
  }

  get session(): Session | undefined {
    return this.#session
  }

  get race(): DirectRace | undefined {
    return this.#race
  }

  /** Why the peer could not be reached the last time. */
  get lastError(): CulvertError | undefined {
    return this.#lastError
  }

  get hopeless(): boolean {
    return this.#hopeless
  }

  get state(): PeerState {
    if (this.#session?.active) return 'connected'
    if (this.#lastError?.code === 'peer-refused') return 'refused'
    if (this.#calling && this.#callFailures === 0) return 'connecting'
    if (this.#context.rendezvous().presence(this.id) === false) return 'offline'
    if (this.#lastError?.code === 'peer-offline') return 'offline'
    return this.#calling || this.#session ? 'connecting' : 'idle'
  }

  get traffic() {
    const now = this.#session?.traffic
    if (!now) return this.#past
    return {
      bytesIn: this.#past.bytesIn + now.bytesIn,
      bytesOut: this.#past.bytesOut + now.bytesOut,
      relayBytesIn: this.#past.relayBytesIn + now.relayBytesIn,
      relayBytesOut: this.#past.relayBytesOut + now.relayBytesOut,
    }
  }

  set keep(keep: boolean) {
    this.#keep = keep
    if (keep) this.#keepUp()
  }

  /** Opens a stream to a service of this peer, once there is a path. Rejects with why there is none. */
  async openStream(service: string, signal: AbortSignal): Promise<SessionStream> {
    const session = await this.ready(signal)
    return session.openStream(service)
  }

  /** The session as soon as a path carries it. */
  ready(signal: AbortSignal): Promise<Session> {
    const session = this.#session
    if (session?.active) return Promise.resolve(session)
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
        if (this.#session?.active) {
          settle()
          resolve(this.#session)
        } else if (!this.#calling && this.#lastError && !this.#mayStillCome(until)) {
          fail(this.#lastError)
        }
      }
      const timer = clock.after(CONNECT_MS, () => fail(this.#lastError ?? this.#noPath()))
      signal.addEventListener('abort', abort, { once: true })
      this.#waiters.add(look)
      if (signal.aborted) abort()
      else this.#call(true)
    })
  }

  /** A relay says that the peer came or went. */
  onPresence(online: boolean): void {
    if (online && this.#wanted() && !this.#session?.active) this.#call(false)
    this.#context.onChange()
  }

  /** A relay line came up: whoever waits for this peer need not wait for the clock. */
  onRelay(): void {
    if (this.#wanted() && !this.#session?.active) this.#call(false)
  }

  /** Something about our own network changed. */
  onNetworkChange(): void {
    this.#hopeless = false
    this.#directFailures = 0
    if (this.#wanted() && !this.#session?.active) this.#call(false)
    if (this.#session?.active) this.#announce(!this.#hasTcp())
    if (this.#session?.active && !this.#hasTcp()) this.#tryDirect()
  }

  /** The peer rings at a relay. */
  async answer(call: IncomingCall): Promise<void> {
    try {
      const pipe = await call.attach(this.#stop.signal)
      await this.#sealPipe(pipe, 'server')
    } catch (thrown) {
      const error = asCulvertError(thrown, 'peer-unreachable', 'the call failed')
      this.#context.log.warn('a call of a peer came to nothing', { peer: this.#name(), reason: error.message })
    }
  }

  /** Takes a proven path; a session begins with the first. */
  attach(path: Path, dialled: boolean): void {
    if (this.#stop.signal.aborted) {
      path.stream.destroy()
      return
    }
    this.#ensureSession().attach(path, dialled)
  }

  close(reason: CulvertError): void {
    this.#stop.abort()
    this.#recall?.cancel()
    this.#endSession(reason)
    this.#lastError = reason
    this.#wake()
  }

  // -- the session

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
        onStream: stream => onStream(this, stream),
        onCandidates: (candidates, tryNow) => this.#onCandidates(candidates, tryNow),
        onIce: (attempt, signal) => this.#race?.receiveIce(attempt, signal),
        onPunch: (attempt, signal) => this.#race?.receivePunch(attempt, signal),
        onPaths: () => this.#onPaths(),
        onBusy: busy => this.#onBusy(busy),
        onRestart: () => this.#onRestart(),
        onBye: () => this.#endSession(new CulvertError('session-closed', 'the session was idle')),
      },
    })
    this.#session = session
    this.#startRace()
    this.#onBusy(false)
    return session
  }

  #startRace(): void {
    this.#race?.close()
    const { ownId, sealer, clock, random, log, udp, stunServers, hardTcpNat } = this.#context
    this.#race = new DirectRace({
      ownId,
      peerId: this.id,
      sealer,
      clock,
      random,
      log,
      udp,
      stunServers,
      attach: (path, dialled) => this.attach(path, dialled),
      sendIce: (attempt, signal) => this.#session?.sendIce(attempt, signal),
      sendPunch: (attempt, signal) => this.#session?.sendPunch(attempt, signal),
      hardTcpNat,
      hasTcp: () => this.#hasTcp(),
      hasDirect: () => this.#hasDirect(),
    })
  }

  #onRestart(): void {
    this.#announced = ''
    this.#hopeless = false
    this.#startRace()
  }

  #onPaths(): void {
    const session = this.#session
    if (!session) return
    const { active } = session
    if (!active) {
      this.#onPathless(session)
      return
    }
    this.#callFailures = 0
    this.#lastError = undefined
    this.#recall?.cancel()
    this.#suspendTimer?.cancel()
    this.#suspendTimer = undefined
    if (this.#connectedAt === undefined) {
      this.#connectedAt = this.#context.clock.now()
      this.#context.log.info('connected', { peer: this.#name(), path: `${active.kind}/${active.how}` })
    }
    this.#settleTimer ??= this.#context.clock.after(SETTLE_MS, () => {
      this.#settleTimer = undefined
      if (session.active) session.drop(superfluousPaths(session.links, session.active))
    })
    if (isDirect(active)) this.#onDirect()
    else this.#onRelayed(session)
    if (active.suspect) this.#call(false)
    this.#wake()
    this.#context.onChange()
  }

  #onDirect(): void {
    this.#release()
    this.#hopeless = false
    this.#directFailures = 0
    this.#retryTimer?.cancel()
    this.#retryTimer = undefined
    if (this.#announced === '') this.#announce(false)
  }

  #onRelayed(session: Session): void {
    if (this.#race?.running || this.#retryTimer) return
    const graceMs = this.#context.graceMs()
    if (!this.#hopeless && graceMs > 0) {
      session.hold = true
      this.#graceTimer ??= this.#context.clock.after(graceMs, () => {
        this.#hopeless = true
        this.#release()
      })
    }
    this.#announce(true)
    this.#tryDirect()
  }

  #onPathless(session: Session): void {
    this.#connectedAt = undefined
    this.#announced = ''
    this.#suspendTimer ??= this.#context.clock.after(SUSPENDED_MS, () => {
      this.#endSession(new CulvertError('peer-unreachable', `no path to the peer for ${SUSPENDED_MS / 1000} s`))
    })
    if (this.#wanted()) this.#call(false)
    else if (!this.#calling && session.links.length === 0)
      this.#endSession(new CulvertError('session-closed', 'the last path ended'))
    this.#context.onChange()
  }

  #onBusy(busy: boolean): void {
    this.#idleTimer?.cancel()
    this.#idleTimer = undefined
    if (!busy && !this.#keep) this.#idleTimer = this.#context.clock.after(IDLE_MS, () => this.#session?.sendBye())
    if (busy && this.#retryTimer) this.#retryLater()
    this.#context.onChange()
  }

  #endSession(reason: CulvertError): void {
    const session = this.#session
    for (const timer of [this.#graceTimer, this.#retryTimer, this.#settleTimer, this.#idleTimer, this.#suspendTimer]) {
      timer?.cancel()
    }
    this.#graceTimer = this.#retryTimer = this.#settleTimer = this.#idleTimer = this.#suspendTimer = undefined
    this.#race?.close()
    this.#race = undefined
    this.#connectedAt = undefined
    this.#announced = ''
    if (!session) return
    this.#past = this.traffic
    this.#session = undefined
    session.close(reason)
    this.#context.onChange()
  }

  // -- towards a direct path

  #announce(tryNow: boolean): void {
    const candidates = this.#context.candidates()
    const told = JSON.stringify(candidates)
    if (told === this.#announced && !tryNow) return
    this.#announced = told
    this.#session?.sendCandidates(candidates, tryNow)
  }

  #onCandidates(candidates: readonly Candidate[], tryNow: boolean): void {
    const race = this.#race
    if (!race) return
    const before = JSON.stringify(race.remote)
    race.remote = reachable(candidates, this.#context.candidates())
    if (this.#hasTcp()) return
    if (this.#announced === '') this.#announce(false)
    if (tryNow || JSON.stringify(race.remote) !== before) this.#tryDirect()
  }

  #tryDirect(): void {
    const race = this.#race
    if (!race) return
    this.#retryTimer?.cancel()
    this.#retryTimer = undefined
    void race.run().then(() => {
      if (!race.running) this.#afterRace(race)
    })
  }

  #afterRace(race: DirectRace): void {
    if (race !== this.#race || !this.#session?.active || this.#retryTimer) return
    // One that waits for the peer's hello counts: it becomes ready in a moment, or its end is told by `onPaths`.
    if (this.#session.links.some(isDirect)) return
    if (!race.informed) {
      // The candidates are on their way and begin another race; without them, as from an older peer, the clock does.
      this.#retryLater()
      return
    }
    this.#directFailures++
    // The offering side knows now; the other one waits for as long as an offer may still come.
    if (this.#context.ownId < this.id) {
      this.#hopeless = true
      this.#release()
    }
    this.#retryLater()
    this.#context.onChange()
  }

  #retryLater(): void {
    this.#retryTimer?.cancel()
    const delay = directRetryMs(this.#directFailures, (this.#session?.streamCount ?? 0) > 0)
    this.#retryTimer = this.#context.clock.after(delay, () => {
      this.#retryTimer = undefined
      if (!this.#session?.active || this.#hasDirect()) return
      this.#announce(true)
      this.#tryDirect()
    })
  }

  /** Lets user bytes go over the relay. */
  #release(): void {
    this.#graceTimer?.cancel()
    this.#graceTimer = undefined
    if (this.#session) this.#session.hold = false
  }

  #hasTcp(): boolean {
    return this.#session?.links.some(link => link.ready && !link.suspect && link.kind === 'tcp') ?? false
  }

  #hasDirect(): boolean {
    return this.#session?.links.some(link => link.ready && !link.suspect && isDirect(link)) ?? false
  }

  // -- towards any path

  #wanted(): boolean {
    return this.#keep || this.#waiters.size > 0 || (this.#session?.streamCount ?? 0) > 0
  }

  #mayStillCome(until: number): boolean {
    const { clock } = this.#context
    const rendezvous = this.#context.rendezvous()
    // Just after the start no relay is connected yet; that is no answer about the peer.
    return this.#lastError?.code === 'relay-unreachable' && rendezvous.connecting && clock.now() < until
  }

  /** The kept side with the smaller id calls; the other gives it a moment, lest both ring at once. */
  #keepUp(): void {
    if (this.#session?.active || this.#stop.signal.aborted) return
    if (this.#context.ownId < this.id) this.#call(false)
    else this.#callLater(recallMs(this.#callFailures + 2, false, 0.5))
  }

  #callLater(delayMs: number): void {
    this.#recall?.cancel()
    this.#recall = this.#context.clock.after(delayMs, () => {
      if (this.#wanted() && !this.#session?.active) this.#call(false)
    })
  }

  #call(urgent: boolean): void {
    if (this.#stop.signal.aborted) return
    if (this.#calling) return
    if (urgent) this.#lastError = undefined
    this.#recall?.cancel()
    this.#calling = this.#callOnce().then(error => {
      this.#calling = undefined
      if (this.#stop.signal.aborted) return
      if (error) {
        this.#lastError = error
        this.#callFailures++
        this.#afterFailedCall()
      }
      this.#wake()
      this.#context.onChange()
    })
  }

  #afterFailedCall(): void {
    const session = this.#session
    if (session && !session.active && session.streamCount === 0 && !this.#keep && session.links.length === 0) {
      this.#endSession(this.#lastError ?? this.#noPath())
    }
    if (!this.#wanted() || this.#session?.active) return
    const chance = this.#context.random.integer(0, 1000) / 1000
    const waiting = this.#waiters.size > 0 || (this.#session?.streamCount ?? 0) > 0
    this.#callLater(recallMs(this.#callFailures - 1, waiting, chance))
  }

  async #callOnce(): Promise<CulvertError | undefined> {
    try {
      const pipe = await this.#context.rendezvous().call(this.id, this.#stop.signal)
      await this.#sealPipe(pipe, 'client')
      return undefined
    } catch (thrown) {
      return asCulvertError(thrown, 'peer-unreachable', `calling ${this.#name()} failed`)
    }
  }

  async #sealPipe(pipe: OpenPipe, role: 'client' | 'server'): Promise<void> {
    const { failure } = pipe
    try {
      const { stream } = await this.#context.sealer.seal(pipe.socket, {
        role,
        expected: this.id,
        accept: () => true,
        signal: failure ? AbortSignal.any([this.#stop.signal, failure]) : this.#stop.signal,
      })
      const ends = endsOf(pipe.socket)
      this.attach({ kind: 'relay', transport: 'pipe', how: 'relay', ...ends, peer: this.id, stream }, role === 'client')
    } catch (thrown) {
      throw failure?.aborted ? failure.reason : thrown
    }
  }

  #wake(): void {
    for (const look of [...this.#waiters]) look()
  }

  #noPath(): CulvertError {
    return new CulvertError('peer-unreachable', `no path to ${this.#name()} in ${CONNECT_MS} ms`)
  }

  #name(): string {
    return shortPeerId(this.id)
  }
}

/**
 * The candidates that are worth dialling. A loopback address names this very machine, so a peer could point us at our
 * own local services with it; it is taken only where there is nothing but loopback on our side too.
 */
function reachable(theirs: readonly Candidate[], ours: readonly Candidate[]): readonly Candidate[] {
  const scopeOf = ({ endpoint }: Candidate) => addressScope(endpoint.address)
  const onlyLoopback = ours.length > 0 && ours.every(candidate => scopeOf(candidate) === 'loopback')
  return theirs.filter(candidate => {
    const scope = scopeOf(candidate)
    return scope === 'public' || scope === 'private' || scope === 'carrier' || (scope === 'loopback' && onlyLoopback)
  })
}
