import { asCulvertError, CulvertError, type ErrorCode } from '../../common/errors.ts'
import type { Timer } from '../../common/platform/clock.ts'
import { createRateGate } from '../../common/platform/log.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import type { Path } from '../path/path.ts'
import { endsOf } from '../path/tcp-path.ts'
import { refusalOr } from '../rendezvous/pipe.ts'
import type { IncomingCall, OpenPipe } from '../rendezvous/rendezvous.ts'
import { CallRace } from './call-race.ts'
import { hangingMs, recallMs } from './direct-schedule.ts'
import type { KnownAddresses } from './known-addresses.ts'
import { areMute, countMuteCalls } from './mute-calls.ts'
import type { PeerContext } from './peer-context.ts'
import { type PeerPipe, PipeCaller } from './pipe-caller.ts'
import type { SessionStream } from './stream.ts'

/** Calls of the peer that are being answered at a time: an honest one makes one or two, a lying relay any number. */
const MAX_ANSWERS = 4
/** Known addresses are tried with each of the first calls, then with one in ten: a peer may be away for weeks. Those at
 * which it shows itself now are always tried. */
const KNOWN_TRIES = 15
const KNOWN_EVERY = 10

/** What a call over relays fails with when the peer itself said nothing. */
const NO_WORD: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'relay-unreachable',
  'relay-refused',
  'peer-offline',
  'peer-unreachable',
  'timed-out',
])

export interface CallerOptions {
  readonly peerId: PeerId
  readonly context: PeerContext
  readonly signal: AbortSignal
  /** Somebody wants this peer: a stream, a waiter, or the config. */
  readonly wanted: () => boolean
  /** What wants it is waiting now. */
  readonly waiting: () => boolean
  /** There is a path, and it answers. */
  readonly sound: () => boolean
  readonly attach: (path: Path, dialled: boolean) => void
  /** What the peer is known by without a relay; a path that comes of it is told by `foundKnown`. */
  readonly known: Pick<KnownAddresses, 'reach' | 'seek'>
  /** A call ended, with or without a path. */
  readonly onEnd: () => void
}

/** Gets a first path to a peer: calls it through the relays, and again after a while as long as it is wanted. */
export class Caller {
  readonly #options: CallerOptions
  #calling: CallRace | undefined
  #failures = 0
  #lastError: CulvertError | undefined
  #muteCalls = 0
  #recall: Timer | undefined
  #answering = 0
  /** Somebody asked while a call was under way, whose failure may be older than the question. */
  #askedAnew = false
  /** A known address led to the peer, whose hello has not come. */
  #knocked = false
  /** The peer closed such a path at once: only a relay brings its word on why. */
  #shutOut = false
  readonly #pipes: PipeCaller
  readonly #mayLog: (key: string) => boolean

  constructor(options: CallerOptions) {
    this.#options = options
    this.#pipes = new PipeCaller(options.peerId, options.context)
    this.#mayLog = createRateGate(options.context.clock, 60_000)
  }

  get calling(): boolean {
    return this.#calling !== undefined
  }

  get answering(): boolean {
    return this.#answering > 0
  }

  /** Failed calls since the peer was last connected. */
  get failures(): number {
    return this.#failures
  }

  /** Why the last call failed; undefined again once the peer is connected, or asked for anew. */
  get lastError(): CulvertError | undefined {
    return this.#lastError
  }

  /** The relay takes our calls, but no handshake comes about, again and again. */
  get mute(): boolean {
    return areMute(this.#muteCalls)
  }

  /** The peer is connected; how well, time will tell. */
  succeeded(): void {
    this.#muteCalls = 0
    this.#knocked = this.#shutOut = false
    this.#lastError = undefined
    this.#recall?.cancel()
    // A call of the peer may have been quicker.
    if (this.#options.sound()) this.#calling?.end()
  }

  /** The path that ended now had held for a while. */
  wasSound(): void {
    this.#failures = 0
  }

  /** A path that broke early is a failed call: a relay that breaks every pipe must not make us call without pause. */
  pathBroke(reason: CulvertError | undefined): void {
    const wasKnown = this.#knocked
    this.#knocked = false
    if (this.#calling) return
    if (wasKnown && this.#options.wanted()) {
      this.#shutOut = true
      this.call(false)
      return
    }
    this.#failures++
    this.#lastError = reason ?? this.#lastError
    this.#again()
  }

  /** `fresh`: somebody new asks, whom the failure of an earlier call does not answer. */
  call(fresh: boolean): void {
    if (this.#options.signal.aborted) return
    if (fresh) this.#lastError = undefined
    if (this.#calling) {
      this.#askedAnew ||= fresh
      if (!this.#options.waiting()) return
      // What it was begun on when nobody waited may be dead.
      this.#options.context.rendezvous().hurry()
      this.#calling.hurry()
      return
    }
    this.#askedAnew = false
    this.#recall?.cancel()
    const { context, signal, waiting, sound } = this.#options
    const race = new CallRace(
      {
        clock: context.clock,
        place: async stop => {
          if (waiting()) context.rendezvous().hurry()
          const error = this.#inWords(await this.#callOnce(stop))
          // Also of one that is not the last word: somebody may run out of patience before that comes.
          if (error && error.code !== 'aborted') this.#lastError = error
          return error
        },
        patienceMs: calls => hangingMs(context.rendezvous().rttMs, calls),
        waiting: () => waiting() && !sound(),
      },
      signal,
    )
    this.#calling = race
    void race.result.then(error => {
      this.#calling = undefined
      this.#shutOut = false
      if (signal.aborted) return
      if (error && this.#askedAnew) {
        this.call(false)
        return
      }
      // Of a call before this one: the path that stands now has only to say hello.
      this.#lastError = error
      if (error) {
        this.#failures++
        this.#again()
      }
      this.#options.onEnd()
    })
  }

  /** A known address led to the peer. */
  foundKnown(path: Path): void {
    this.#knocked = true
    this.#options.attach(path, true)
  }

  /** An address of the peer was learnt, so that no relay is needed, nor patience. */
  onAddress(): void {
    if (!this.#shutOut) void this.#options.known.reach('all')
  }

  /** That it was not to be reached says nothing any more. */
  peerIsThere(): void {
    if (this.#lastError && NO_WORD.has(this.#lastError.code)) this.#lastError = undefined
  }

  /** What failed for want of a relay says nothing any more. */
  relayIsUp(): void {
    if (this.#lastError?.code.startsWith('relay-')) this.#lastError = undefined
  }

  /** Something changed for the better: a call that is under way may hang. */
  callAnew(): void {
    if (this.#calling) this.#calling.another()
    else this.call(false)
  }

  /** Calls, but not before the other side had its chance: two that keep each other would else both ring at once. */
  callLater(): void {
    this.#callIn(recallMs(this.#failures + 2, false, 0.5))
  }

  /** The peer rings at a relay. */
  async answer(call: IncomingCall): Promise<void> {
    const { signal } = this.#options
    if (this.#answering >= MAX_ANSWERS) call.refuse('busy')
    else await this.#answer(async () => this.#seal(await call.attach(signal), 'server', signal))
  }

  /** The peer rings over a pipe that `via` carries. */
  async answerPipe(via: PeerId, stream: SessionStream): Promise<void> {
    const { signal } = this.#options
    if (this.#answering >= MAX_ANSWERS) {
      stream.reset('busy', 'too many calls of the peer are being answered')
      return
    }
    stream.accept()
    await this.#answer(() => this.#sealPipe({ via, stream }, 'server', signal))
  }

  /** Asks peers that carry for others, though a relay leads to this one; true when that gave a path. */
  seekPipe(): Promise<boolean> {
    return this.#callPeers(this.#options.signal)
  }

  async #answer(seal: () => Promise<void>): Promise<void> {
    const { context } = this.#options
    this.#answering++
    try {
      await seal()
    } catch (thrown) {
      const error = asCulvertError(thrown, 'peer-unreachable', 'the call failed')
      if (!this.#mayLog(error.code)) return
      context.log.warn('a call of a peer came to nothing', { peer: this.#name(), reason: error.message })
    } finally {
      this.#answering--
    }
  }

  close(): void {
    this.#recall?.cancel()
  }

  #again(): void {
    const { context, wanted, waiting, sound } = this.#options
    if (!wanted() || sound()) return
    const chance = context.random.integer(0, 1000) / 1000
    this.#callIn(recallMs(this.#failures - 1, waiting(), chance))
  }

  #callIn(delayMs: number): void {
    const { context, wanted, sound } = this.#options
    this.#recall?.cancel()
    this.#recall = context.clock.after(delayMs, () => {
      if (wanted() && !sound()) this.call(false)
    })
  }

  /**
   * Over a relay, and at the same time where the peer was reached before, and through peers that carry: with one of those,
   * no relay is needed.
   */
  async #callOnce(signal: AbortSignal): Promise<CulvertError | undefined> {
    const found = new AbortController()
    const untilFound = AbortSignal.any([signal, found.signal])
    const others = [this.#callKnown(signal), this.#callPeers(untilFound)].map(async call => {
      const connected = await call
      if (connected) found.abort()
      return connected
    })
    const error = await this.#callOverRelay(untilFound)
    if (!error) return undefined
    const [known, piped] = await Promise.all(others)
    return known || piped ? undefined : error
  }

  async #callOverRelay(signal: AbortSignal): Promise<CulvertError | undefined> {
    const { context, peerId } = this.#options
    try {
      await this.#seal(await context.rendezvous().call(peerId, signal), 'client', signal)
      return undefined
    } catch (thrown) {
      return asCulvertError(thrown, 'peer-unreachable', `calling ${this.#name()} failed`)
    }
  }

  #callPeers(signal: AbortSignal): Promise<boolean> {
    return this.#pipes.call(signal, (pipe, stop) => this.#sealPipe(pipe, 'client', stop))
  }

  async #callKnown(signal: AbortSignal): Promise<boolean> {
    const { known } = this.#options
    if (this.#shutOut) return false
    const which = this.#failures >= KNOWN_TRIES && this.#failures % KNOWN_EVERY !== 0 ? 'present' : 'all'
    if (await known.reach(which)) return true
    await known.seek(signal)
    return !signal.aborted && known.reach(which)
  }

  /** That no relay leads to the peer says less than that the peer itself closed a path. */
  #inWords(error: CulvertError | undefined): CulvertError | undefined {
    if (!error || !this.#shutOut || !NO_WORD.has(error.code)) return error
    const message =
      'the peer closed the path; it may not name this device in its "peers": add the id of this device (culvert id) there'
    return new CulvertError('peer-unreachable', message, { cause: error })
  }

  async #seal(pipe: OpenPipe, role: 'client' | 'server', signal: AbortSignal): Promise<void> {
    const { context, peerId, attach } = this.#options
    const { failure } = pipe
    const startedAt = context.clock.now()
    try {
      const { stream } = await context.sealer.seal(pipe.socket, {
        role,
        expected: peerId,
        accept: () => true,
        signal: failure ? AbortSignal.any([signal, failure]) : signal,
      })
      const facts = { kind: 'relay', transport: 'pipe', how: 'relay', ...endsOf(pipe.socket) } as const
      attach({ ...facts, peer: peerId, stream }, role === 'client')
    } catch (thrown) {
      const tookMs = context.clock.now() - startedAt
      const reason = asCulvertError(
        await refusalOr(thrown, failure, context.clock),
        'peer-unreachable',
        'the call failed',
      )
      this.#muteCalls = countMuteCalls(this.#muteCalls, reason, tookMs)
      throw reason
    }
  }

  async #sealPipe({ via, stream: carrier }: PeerPipe, role: 'client' | 'server', signal: AbortSignal): Promise<void> {
    const { context, peerId, attach } = this.#options
    const { stream } = await context.sealer.seal(carrier, { role, expected: peerId, accept: () => true, signal })
    const facts = { kind: 'relay', transport: 'pipe', how: 'relay', local: undefined, remote: undefined, via } as const
    attach({ ...facts, peer: peerId, stream }, role === 'client')
  }

  #name(): string {
    return this.#options.context.nameOf(this.#options.peerId)
  }
}
