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
import type { Path } from '../path/path.ts'
import type { Sealer } from '../path/seal.ts'
import { dialTcpPath } from '../path/tcp-path.ts'
import type { AttemptBudget } from './attempt-budget.ts'
import { Datachannels, type UdpSituation } from './datachannels.ts'
import { udpDelayMs } from './direct-schedule.ts'
import type { SearchMemory } from './search-choice.ts'
import type { SearchGate } from './search-gate.ts'
import { TcpPunching } from './tcp-punching.ts'
import { Tcp6Punching } from './tcp6-punching.ts'
import { UdpSearching } from './udp-searching.ts'
import { UdxProbing } from './udx-probing.ts'

const MAX_DIALS = 32
/** The peer's candidates come in the first round trip, over a relay. */
const CANDIDATES_MS = 2_000

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
  /** It is one of this machine's: no peer is there. */
  isOwnAddress(address: string): boolean
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
  readonly #punching6: Tcp6Punching
  readonly #probing: UdxProbing | undefined
  readonly #searching: UdpSearching
  #remote: readonly Candidate[] | undefined
  #running: Promise<void> | undefined
  readonly #datachannels: Datachannels

  constructor(context: RaceContext) {
    this.#context = context
    const shared = {
      peerId: context.peerId,
      offers: this.#offers(),
      sealer: context.sealer,
      clock: context.clock,
      random: context.random,
      budget: context.budget,
      signal: this.#stop.signal,
      stunServers: () => context.stunServers(),
      isOwnAddress: (address: string) => context.isOwnAddress(address),
      attach: (path: Path) => context.attach(path, true),
      send: (attempt: number, signal: PunchSignal) => context.sendPunch(attempt, signal),
    }
    const overTcp = {
      ...shared,
      hardNat: () => context.hardTcpNat(),
      hasTcp: () => context.hasTcp(),
      addressBetweenNats: () => context.addressBetweenNats(),
      rttMs: () => context.rttMs(),
      onOutcome: (error: CulvertError | undefined) => this.#outcome('tcp/punched', error),
    }
    this.#punching = new TcpPunching(overTcp)
    this.#punching6 = new Tcp6Punching({
      ...overTcp,
      ownAddress: () => ipv6AddressOf(context.candidates()),
      theyHaveOne: () => ipv6AddressOf(this.remote) !== undefined,
      onOutcome: error => this.#outcome('tcp/punched over IPv6', error),
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
    this.#datachannels = new Datachannels({
      ...context,
      offers: shared.offers,
      signal: this.#stop.signal,
      attach: shared.attach,
      send: (attempt, signal) => context.sendIce(attempt, signal),
      onOutcome: error => this.#outcome('udp', error),
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

  /** A signal for a data channel came from the peer. */
  receiveIce(attempt: number, signal: IceSignal): void {
    this.#datachannels.receive(attempt, signal)
  }

  receivePunch(attempt: number, signal: PunchSignal): void {
    const { over, ...words } = signal
    if (over === 'tcp') this.#punching.receive(attempt, words)
    else if (over === 'tcp6') this.#punching6.receive(attempt, words)
    else this.#searching.receive(attempt, words)
  }

  /** The paths of the session changed: what the peer asked for may be needed now. */
  onPaths(): void {
    this.#punching.onPaths()
    this.#punching6.onPaths()
    this.#searching.onPaths()
  }

  close(): void {
    this.#stop.abort()
    this.#informed.abort()
    this.#datachannels.close()
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
    const tried = await Promise.all([this.#punching.run(), this.#punch6()])
    if (tried.includes(false)) this.#omitted.add('punching')
  }

  /** What each side told is dialled first: many firewalls let it in. */
  async #punch6(): Promise<boolean> {
    if (!this.#offers() || this.#context.hasTcp()) return false
    if (!this.informed) await pause(this.#context.clock, CANDIDATES_MS, this.#informed.signal)
    await pause(this.#context.clock, udpDelayMs(this.remote), this.#stop.signal)
    return this.#punching6.run()
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
    else await this.#datachannels.run()
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

function ipv6AddressOf(candidates: readonly Candidate[]): string | undefined {
  return candidates.find(({ kind, how }) => kind === 'tcp' && how === 'ipv6')?.endpoint.address
}
