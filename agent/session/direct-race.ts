import { asCulvertError, type CulvertError } from '../../common/errors.ts'
import type { Clock } from '../../common/platform/clock.ts'
import { pause } from '../../common/platform/clock.ts'
import type { Log } from '../../common/platform/log.ts'
import type { Random } from '../../common/platform/random.ts'
import { type Candidate, formatCandidate } from '../../common/wire/candidate.ts'
import { type Endpoint, formatEndpoint } from '../../common/wire/endpoint.ts'
import { type PeerId, shortPeerId } from '../../common/wire/peer-id.ts'
import type { PunchSignal } from '../../common/wire/punch-signal.ts'
import type { IceSignal } from '../../common/wire/session-frame.ts'
import type { ProbeBudget } from '../nat/probe-budget.ts'
import type { UdpPorts } from '../nat/udp-ports.ts'
import {
  type AttemptStage,
  type DatachannelAttempt,
  type DatachannelPath,
  startDatachannel,
} from '../path/datachannel/attempt.ts'
import type { Path } from '../path/path.ts'
import type { Sealer } from '../path/seal.ts'
import { dialTcpPath } from '../path/tcp-path.ts'
import type { AttemptBudget } from './attempt-budget.ts'
import { udpDelayMs } from './direct-schedule.ts'
import type { SearchMemory } from './search-choice.ts'
import type { SearchGate } from './search-gate.ts'
import { TcpPunching } from './tcp-punching.ts'
import { UdpSearching } from './udp-searching.ts'
import { UdxProbing } from './udx-probing.ts'

/** A hopeless pair of NATs shows no sign of it for 40 s; a good one connects within 1.5 s even at 200 ms. */
const UDP_ATTEMPT_MS = 3_000
/** About one good attempt in a hundred dies early of a DTLS fault; a fresh one then works. */
const UDP_TRIES = 3
/** For a line that swallows full-sized packets: fits through every tunnel of tunnels that was ever met. */
const SMALL_MTU = 1_100
const MAX_DIALS = 32
/** The peer's candidates come in the first round trip, over a relay. */
const CANDIDATES_MS = 2_000

/** What our side of a UDP attempt starts from. */
export interface UdpSituation {
  readonly port: number | undefined
  readonly mapped: Endpoint | undefined
  /** Packets come in only from where ours went to. */
  readonly filtered: boolean
}

/** What a race for direct paths needs of its peer. */
export interface RaceContext {
  readonly ownId: PeerId
  readonly peerId: PeerId
  readonly sealer: Sealer
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly budget: AttemptBudget
  /** For data channels; undefined when this machine makes none. */
  udp(): UdpSituation | undefined
  /** Our own UDP port; undefined where UDX cannot be had. */
  readonly ports: UdpPorts | undefined
  /** Our candidates as the peer knows them. */
  candidates(): readonly Candidate[]
  stunServers(): readonly Endpoint[]
  /** Takes a finished path over. */
  attach(path: Path, dialled: boolean): void
  sendIce(attempt: number, signal: IceSignal): void
  sendPunch(attempt: number, signal: PunchSignal): void
  /** The router gives each destination another TCP port. */
  hardTcpNat(): boolean
  /** Our router's own address outside, where it stands behind another NAT. */
  addressBetweenNats(): string | undefined
  /** A better path than any UDP one is in use already. */
  hasTcp(): boolean
  hasDirect(): boolean
  /** Of the path in use, in ms. */
  rttMs(): number
  readonly probes: ProbeBudget
  readonly searchGate: SearchGate
  /** The router gives each destination another UDP port. */
  hardUdpNat(): boolean
  /** Whether a search over UDP is worth its packets, and when. */
  searchChoice(): 'now' | 'later' | 'never'
  learnSearch(found: SearchMemory): void
  /** Names the networks that both sides are in. */
  place(): string
}

/** The attempts to reach one peer directly, every way at once, with the search through hard NATs after them. */
export class DirectRace {
  readonly #context: RaceContext
  readonly #stop = new AbortController()
  /** Aborts a wait for the peer's candidates. */
  readonly #informed = new AbortController()
  /** Addresses dialled in this run. */
  readonly #tried = new Set<string>()
  readonly #faults = new Map<string, string>()
  /** Ways that this run has not gone, since a path that was in use made them needless. */
  readonly #omitted = new Set<'punching' | 'searching'>()
  readonly #punching: TcpPunching
  readonly #probing: UdxProbing | undefined
  readonly #searching: UdpSearching
  #remote: readonly Candidate[] | undefined
  #running: Promise<void> | undefined
  #attempt: { readonly number: number; readonly udp: DatachannelAttempt } | undefined
  #nextAttempt: number
  #smallPackets = false

  constructor(context: RaceContext) {
    this.#context = context
    // Drawn, so that a late signal of an earlier life is never taken for one of this.
    this.#nextAttempt = context.random.integer(1, 2 ** 31)
    const shared = {
      peerId: context.peerId,
      offers: this.#offers(),
      sealer: context.sealer,
      clock: context.clock,
      random: context.random,
      budget: context.budget,
      signal: this.#stop.signal,
      stunServers: () => context.stunServers(),
      attach: (path: Path) => context.attach(path, true),
      send: (attempt: number, signal: PunchSignal) => context.sendPunch(attempt, signal),
    }
    this.#punching = new TcpPunching({
      ...shared,
      hardNat: () => context.hardTcpNat(),
      hasTcp: () => context.hasTcp(),
      addressBetweenNats: () => context.addressBetweenNats(),
      rttMs: () => context.rttMs(),
      onOutcome: error => this.#outcome('tcp/punched', error),
    })
    this.#searching = new UdpSearching({
      ...shared,
      probes: context.probes,
      gate: context.searchGate,
      hardNat: () => context.hardUdpNat(),
      hasDirect: () => context.hasDirect(),
      place: () => context.place(),
      learn: found => context.learnSearch(found),
      onOutcome: error => this.#outcome('udp/search', error),
    })
    this.#probing = context.ports && this.#startProbing(context.ports)
  }

  /** What both sides seal their probes with. */
  set probeSecret(secret: Uint8Array) {
    if (this.#probing) this.#probing.secret = secret
  }

  get running(): boolean {
    return this.#running !== undefined
  }

  /** The search through hard NATs is still to come. */
  get searchPending(): boolean {
    return this.#searching.pending
  }

  /** The peer has told its candidates: before that, a race that found nothing says nothing. */
  get informed(): boolean {
    return this.#remote !== undefined
  }

  /** The peer's candidates as last told. */
  get remote(): readonly Candidate[] {
    return this.#remote ?? []
  }

  /** Why each way failed the last time, by way. */
  get faults(): ReadonlyMap<string, string> {
    return this.#faults
  }

  set remote(candidates: readonly Candidate[]) {
    this.#remote = candidates
    this.#informed.abort()
  }

  /**
   * Tries every way at once; resolves when the last of them has ended. While it runs, a further call only adds the
   * candidates that came since, and ways that were needless before.
   */
  run(): Promise<void> {
    if (this.#stop.signal.aborted) return Promise.resolve()
    if (!this.#running) this.#tried.clear()
    const ways = [this.#dialAll()]
    if (this.#running) ways.push(this.#running, this.#probing?.refresh() ?? Promise.resolve(), this.#makeUp())
    else ways.push(this.#beginAll())
    const run = Promise.all(ways).then(() => {
      if (this.#running === run) this.#running = undefined
    })
    this.#running = run
    return run
  }

  /** Makes a path over UDX at once, whatever else is being tried; `beside`: although there is one over TCP. */
  probe(beside: boolean): void {
    if (!this.#stop.signal.aborted) void this.#probing?.run(beside)
  }

  /** A signal for a UDP attempt came from the peer. */
  receiveIce(number: number, signal: IceSignal): void {
    if (this.#attempt?.number === number) {
      this.#attempt.udp.receive(signal)
      return
    }
    if (signal.kind !== 'offer' || this.#offers() || !this.#context.udp()) return
    if (this.#context.budget.takeUdpOffer()) void this.#udp(number, 'answerer', signal)
  }

  receivePunch(attempt: number, signal: PunchSignal): void {
    const { over, ...words } = signal
    if (over === 'tcp') this.#punching.receive(attempt, words)
    else this.#searching.receive(attempt, words)
  }

  /** The paths of the session changed: what the peer asked for may be needed now. */
  onPaths(): void {
    this.#punching.onPaths()
    this.#searching.onPaths()
  }

  close(): void {
    this.#stop.abort()
    this.#informed.abort()
    this.#attempt?.udp.abort()
  }

  #startProbing(ports: UdpPorts): UdxProbing {
    const { peerId, sealer, clock, random, budget, probes, candidates, hasTcp, attach } = this.#context
    return new UdxProbing({
      peerId,
      leads: this.#offers(),
      sealer,
      clock,
      random,
      budget,
      probes,
      ports,
      signal: this.#stop.signal,
      remote: () => this.remote,
      own: candidates,
      hasTcp,
      attach,
      onOutcome: error => this.#outcome('udp', error),
    })
  }

  /** One side offers, so that two attempts never cross. */
  #offers(): boolean {
    return this.#context.ownId < this.#context.peerId
  }

  /** The cheap ways at once; the search after them, unless it is known to be the one that finds a way. */
  async #beginAll(): Promise<void> {
    this.#omitted.clear()
    const [searched] = await Promise.all([this.#searchEarly(), this.#udpWays(), this.#punch()])
    if (!searched && this.#context.searchChoice() !== 'never') await this.#search()
  }

  /** The path that made them needless may be gone. */
  async #makeUp(): Promise<void> {
    await Promise.all([
      this.#omitted.has('punching') && this.#punch(),
      this.#omitted.has('searching') && this.#context.searchChoice() === 'now' && this.#search(),
    ])
  }

  /** What the peer tells of its network comes with its candidates. */
  async #searchEarly(): Promise<boolean> {
    if (!this.informed) await pause(this.#context.clock, CANDIDATES_MS, this.#informed.signal)
    return this.#context.searchChoice() === 'now' && (await this.#search())
  }

  /** True when it was tried, here or before. */
  async #search(): Promise<boolean> {
    this.#omitted.delete('searching')
    const searched = await this.#searching.run()
    if (!searched) this.#omitted.add('searching')
    return searched
  }

  async #punch(): Promise<void> {
    this.#omitted.delete('punching')
    if (!(await this.#punching.run())) this.#omitted.add('punching')
  }

  async #dialAll(): Promise<void> {
    const targets = this.remote.filter(({ kind }) => kind === 'tcp').slice(0, MAX_DIALS)
    await Promise.all(targets.map(candidate => this.#dial(candidate)))
  }

  async #dial(candidate: Candidate): Promise<void> {
    const key = formatEndpoint(candidate.endpoint)
    if (this.#tried.has(key) || this.#tried.size >= MAX_DIALS || this.#context.hasTcp()) return
    this.#tried.add(key)
    if (!this.#context.budget.takeDial(candidate.endpoint)) return
    const way = formatCandidate(candidate)
    try {
      const path = await dialTcpPath(this.#context.peerId, candidate, { ...this.#context, signal: this.#stop.signal })
      this.#faults.delete(way)
      if (this.#stop.signal.aborted) path.stream.destroy()
      else this.#context.attach(path, true)
    } catch (thrown) {
      this.#fault(way, thrown)
    }
  }

  async #udpWays(): Promise<void> {
    if (this.#context.hasDirect()) return
    if (!this.informed) await pause(this.#context.clock, CANDIDATES_MS, this.#informed.signal)
    await pause(this.#context.clock, udpDelayMs(this.remote), this.#stop.signal)
    if (this.#context.hasDirect()) return
    // A peer that makes UDX paths tells UDP addresses; without them it has nothing but data channels.
    if (this.#probing && this.remote.some(({ kind }) => kind === 'udp')) await this.#probing.run()
    else await this.#offerUdp()
  }

  async #offerUdp(): Promise<void> {
    if (!this.#offers() || !this.#context.udp()) return
    for (let tries = 0; tries < UDP_TRIES; tries++) {
      if (this.#stop.signal.aborted || this.#context.hasDirect()) return
      const stage = await this.#udp(this.#nextAttempt++, 'offerer', undefined)
      // Where no packet came through there is no way for this pair; what broke later is worth another attempt.
      if (stage === 'open' || stage === 'signalling' || stage === 'checking') return
    }
  }

  /** One attempt, sealed and attached; gives how far it came. */
  async #udp(number: number, role: 'offerer' | 'answerer', offer: IceSignal | undefined): Promise<AttemptStage> {
    const { clock, log, sealer, peerId } = this.#context
    this.#attempt?.udp.abort()
    const { port, mapped, filtered } = this.#context.udp() ?? { port: undefined, mapped: undefined, filtered: true }
    const udp = startDatachannel({
      role,
      peer: peerId,
      stunServers: this.#context.stunServers(),
      udpPort: port,
      mappedEndpoint: mapped,
      filtered,
      send: signal => this.#context.sendIce(number, signal),
      clock,
      timeoutMs: UDP_ATTEMPT_MS,
      ...(this.#smallPackets ? { mtu: SMALL_MTU } : {}),
      signal: this.#stop.signal,
      log,
    })
    const attempt = { number, udp }
    this.#attempt = attempt
    let made: DatachannelPath | undefined
    try {
      if (offer) udp.receive(offer)
      made = await udp.done
      const { stream } = await sealer.seal(made.stream, {
        role: role === 'offerer' ? 'client' : 'server',
        expected: peerId,
        accept: () => true,
        signal: this.#stop.signal,
      })
      stream.once('close', () => made?.close())
      const { how, local, remote } = made
      this.#faults.delete('udp')
      this.#context.attach({ kind: 'udp', transport: 'datachannel', how, local, remote, peer: peerId, stream }, true)
      return 'open'
    } catch (thrown) {
      made?.close()
      this.#fault('udp', thrown)
      // Both ends see it stop there, so both send smaller packets the next time.
      if (udp.stage === 'probing') this.#smallPackets = true
      return made ? 'securing' : udp.stage
    } finally {
      if (this.#attempt === attempt) this.#attempt = undefined
    }
  }

  #outcome(way: string, error: CulvertError | undefined): void {
    if (error) this.#fault(way, error)
    else this.#faults.delete(way)
  }

  #fault(way: string, thrown: unknown): void {
    if (this.#stop.signal.aborted) return
    const error = asCulvertError(thrown, 'peer-unreachable', way)
    if (error.code !== 'aborted') this.#faults.set(way, error.message)
    if (this.#faults.size > MAX_DIALS * 2) this.#faults.clear()
    this.#context.log.debug('a direct way failed', {
      peer: shortPeerId(this.#context.peerId),
      way,
      reason: error.message,
    })
  }
}
