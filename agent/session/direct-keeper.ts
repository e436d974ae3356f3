import type { Timer } from '../../common/platform/clock.ts'
import type { Candidate } from '../../common/wire/candidate.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { PROBE_SECRET_BYTES } from '../../common/wire/probe.ts'
import type { PunchSignal } from '../../common/wire/punch-signal.ts'
import type { IceSignal } from '../../common/wire/session-frame.ts'
import type { Situation } from '../../common/wire/situation.ts'
import type { Path } from '../path/path.ts'
import { isDirect } from '../path/path-choice.ts'
import type { AttemptBudget } from './attempt-budget.ts'
import { BulkWatch } from './bulk-watch.ts'
import { DirectRace } from './direct-race.ts'
import { directRetryMs, upgradeRetryMs } from './direct-schedule.ts'
import type { PathLink } from './path-link.ts'
import type { PeerContext } from './peer-context.ts'
import { reachable } from './reachable.ts'
import { RetryWait } from './retry-wait.ts'
import { searchChoice } from './search-choice.ts'
import type { Session } from './session.ts'
import type { CandidatesWish } from './session-events.ts'

/** A relay that comes and goes must not make us try without pause. */
const RELAY_RETRY_MS = 5_000

/** Gets one session off the relay: tells candidates, holds user bytes for a while, races, and tries again. */
export class DirectKeeper {
  readonly #peerId: PeerId
  readonly #context: PeerContext
  readonly #session: Session
  readonly #race: DirectRace
  /** With this network, no direct way was found: user bytes need not wait for one. */
  #hopeless: boolean
  #failures = 0
  /** Tries for TCP while UDP is in use, and the path that they are to replace. */
  #upgrades = 0
  #improving: PathLink | undefined
  #triedAt = Number.NEGATIVE_INFINITY
  /** User bytes have waited for a direct path, or gone over one: when it breaks, they go on at once. */
  #begun = false
  /** The candidates as the peer knows them. */
  #announced = ''
  /** The path that was told to the memory last. */
  #learnt: PathLink | undefined
  #toldSituation = ''
  /** What probes are sealed with; drawn by the peer with the smaller id. */
  readonly #probeSecret: Uint8Array | undefined
  #theirSituation: Situation | undefined
  #graceTimer: Timer | undefined
  readonly #retry: RetryWait
  readonly #bulk: BulkWatch
  #closed = false

  constructor(
    peerId: PeerId,
    session: Session,
    context: PeerContext,
    budget: AttemptBudget,
    attach: (path: Path, dialled: boolean) => void,
  ) {
    this.#peerId = peerId
    this.#context = context
    this.#session = session
    this.#retry = new RetryWait(context.clock)
    this.#hopeless = this.#knownHopeless()
    this.#race = new DirectRace({
      ownId: context.ownId,
      peerId,
      sealer: context.sealer,
      clock: context.clock,
      random: context.random,
      log: context.log,
      budget,
      ports: context.ports,
      probes: context.probes,
      candidates: context.candidates,
      udp: context.udp,
      stunServers: context.stunServers,
      hardTcpNat: context.hardTcpNat,
      addressBetweenNats: () => context.addressBetweenNats?.(),
      isOwnAddress: context.isOwnAddress,
      hardUdpNat: context.hardUdpNat,
      searchGate: context.searchGate,
      searchChoice: () => searchChoice(context.situation(), this.#theirSituation, context.memory.recall(peerId).hard),
      learnSearch: hard => context.memory.learn(peerId, { hard }),
      place: () => JSON.stringify([context.situation(), this.#theirSituation]),
      attach,
      sendIce: (attempt, signal) => session.signals.ice(attempt, signal),
      sendPunch: (attempt, signal) => session.signals.punch(attempt, signal),
      hasTcp: () => this.#hasTcp(),
      hasDirect: () => this.#hasDirect(),
      rttMs: () => session.rttMs,
    })
    this.#bulk = new BulkWatch({
      peerId,
      session,
      clock: context.clock,
      memory: context.memory,
      wantUdx: () => void this.#wantUdx(),
    })
    if (context.ownId > peerId || !context.ports) return
    this.#probeSecret = context.random.bytes(PROBE_SECRET_BYTES)
    this.#race.probeSecret = this.#probeSecret
  }

  /** Why each direct way failed the last time, by way. */
  get faults(): ReadonlyMap<string, string> {
    return this.#race.faults
  }

  /** What the peer told of the network around it. */
  get theirSituation(): Situation | undefined {
    return this.#theirSituation
  }

  get trying(): boolean {
    return this.#race.running
  }

  /** Direct ways are being tried, here or by the other side, and may still succeed soon. */
  get settling(): boolean {
    return this.#race.running || this.#graceTimer !== undefined
  }

  /** Tries every direct way again, because somebody wants to know; what runs already goes on. */
  tryNow(): void {
    if (this.#closed || !this.#session.active || this.#hasDirect() || this.#race.running) return
    this.#announce(true)
    this.#try()
  }

  /** The path in use is direct. */
  onDirect(): void {
    this.#race.onPaths()
    this.#release()
    this.#begun = true
    this.#hopeless = false
    this.#failures = 0
    this.#learn()
    if (this.#announced === '') this.#announce(false)
    const { active } = this.#session
    if (active !== this.#improving) {
      this.#improving = active
      this.#retry.cancel()
    }
    if (this.#hasTcp()) this.#upgrades = 0
    // A NAT may have drawn another port: what was told is probed at once, before a relay can be asked.
    else if (active?.suspect) this.#tryAnew()
    else if (this.#onUdp() && !this.#race.running && !this.#retry.waiting) this.#retryLater()
  }

  /** The path in use is a relay's. */
  onRelayed(): void {
    this.#race.onPaths()
    if (this.#improving) {
      // What waited to improve a direct path has none any more.
      this.#improving = undefined
      this.#retry.cancel()
    }
    if (this.#race.running) this.#run()
    if (this.#race.running || this.#retry.waiting) return
    const graceMs = this.#context.graceMs()
    if (!this.#begun && !this.#hopeless && graceMs > 0) {
      this.#session.hold = true
      this.#graceTimer ??= this.#context.clock.after(graceMs, () => {
        this.#hopeless = true
        // The race goes on, but an agent that ends before it does would wait as long the next time.
        this.#context.memory.learn(this.#peerId, { way: 'none' })
        this.#release()
        this.#context.onChange()
      })
    }
    this.#begun = true
    this.#announce(true)
    this.#try()
  }

  /** No path is left: the next one begins with telling candidates again. */
  onPathless(): void {
    this.#announced = ''
    this.#toldSituation = ''
  }

  onBacklog(): void {
    this.#bulk.onBacklog()
  }

  onBusy(busy: boolean): void {
    if (busy) this.#retry.adjust(this.#retryMs())
  }

  /** A relay line came up, over which what failed before may be arranged now. */
  onRelay(): void {
    const { active } = this.#session
    if (!active || isDirect(active) || this.#race.running) return
    if (this.#context.clock.now() - this.#triedAt < RELAY_RETRY_MS) return
    this.#failures = 0
    this.#announce(true)
    this.#try()
  }

  /** Something about our own network changed. */
  onNetworkChange(): void {
    this.#hopeless = this.#knownHopeless()
    // Just after the start this may be when the network gets its name.
    if (this.#hopeless) this.#release()
    this.#failures = 0
    this.#upgrades = 0
    this.#bulk.forget()
    this.#session.forgetLine()
    if (!this.#session.active) return
    const { active } = this.#session
    this.#announce(!isDirect(active))
    if (!this.#hasTcp()) this.#try()
  }

  onCandidates(candidates: readonly Candidate[], wish: CandidatesWish | undefined): void {
    const before = JSON.stringify(this.#race.remote)
    const { isOwnAddress, isOnThisMachine } = this.#context
    const isElsewhere = (address: string) => isOwnAddress(address) && !isOnThisMachine(this.#peerId)
    this.#race.remote = reachable(candidates, this.#context.candidates(), isElsewhere)
    if (wish === 'udx-beside' && this.#hasTcp()) this.#probeBeside()
    if (this.#hasTcp()) return
    if (this.#announced === '') this.#announce(false)
    if (wish !== undefined || JSON.stringify(this.#race.remote) !== before) this.#try()
  }

  onSituation(situation: Situation): void {
    this.#theirSituation = situation
    if (this.#toldSituation === '') this.#tellSituation()
    this.#context.onChange()
  }

  onProbeSecret(secret: Uint8Array): void {
    if (this.#context.ownId > this.#peerId) this.#race.probeSecret = secret
  }

  onIce(attempt: number, signal: IceSignal): void {
    this.#race.receiveIce(attempt, signal)
  }

  onPunch(attempt: number, signal: PunchSignal): void {
    this.#race.receivePunch(attempt, signal)
  }

  close(): void {
    this.#closed = true
    this.#bulk.close()
    this.#graceTimer?.cancel()
    this.#retry.cancel()
    this.#race.close()
  }

  /** For a long stream over TCP, which may go faster over UDX. */
  async #wantUdx(): Promise<void> {
    const { ports, stunServers, candidates } = this.#context
    if (!ports) return
    await ports.learnOutside(stunServers())
    if (this.#closed || !this.#session.active) return
    if (this.#probeSecret) this.#session.signals.probeSecret(this.#probeSecret)
    this.#session.signals.candidates(candidates(), 'udx-beside')
    this.#probeBeside()
  }

  #probeBeside(): void {
    void this.#tellOutside()
    this.#race.probe(true)
  }

  #tellSituation(): void {
    const situation = this.#context.situation()
    const told = JSON.stringify(situation)
    if (told === this.#toldSituation) return
    this.#toldSituation = told
    this.#session.signals.situation(situation)
  }

  #announce(tryNow: boolean): void {
    this.#tellSituation()
    const candidates = this.#context.candidates()
    const told = JSON.stringify(candidates)
    if (told === this.#announced && !tryNow) return
    // Before the candidates, which set off probes.
    if (this.#announced === '' && this.#probeSecret) this.#session.signals.probeSecret(this.#probeSecret)
    this.#announced = told
    this.#session.signals.candidates(candidates, tryNow ? 'try-now' : undefined)
  }

  /** Where our UDP port is seen from outside is found out only when it is needed. */
  async #tellOutside(): Promise<void> {
    const { ports, stunServers } = this.#context
    const outside = await ports?.learnOutside(stunServers())
    if (outside && !this.#closed && this.#session.active) this.#announce(false)
  }

  /** A race may be waiting for its slowest way, while UDP is what would help now. */
  #tryAnew(): void {
    if (!this.#race.running) {
      this.#try()
      return
    }
    void this.#tellOutside()
    this.#race.probe(false)
    this.#run()
  }

  #try(): void {
    this.#triedAt = this.#context.clock.now()
    this.#retry.cancel()
    void this.#tellOutside()
    this.#run()
  }

  /** Begins a race, or adds to the one that runs what it has not tried. */
  #run(): void {
    void this.#race.run().then(() => {
      if (!this.#race.running) this.#afterRace()
    })
  }

  #afterRace(): void {
    if (this.#closed || !this.#session.active || this.#retry.waiting) return
    // One that waits for the peer's hello counts: it becomes ready in a moment, or its end is told by `onPaths`.
    if (this.#session.links.some(isDirect)) {
      if (this.#onUdp()) this.#retryLater()
      return
    }
    if (!this.#race.informed) {
      // The candidates are on their way and begin another race; without them, as from an older peer, the clock does.
      this.#retryLater()
      return
    }
    this.#failures++
    if (this.#race.searchPending) {
      // It comes by itself; before that, it is not said that there is no way.
      this.#retryLater()
      return
    }
    this.#context.memory.learn(this.#peerId, { way: 'none' })
    // The offering side knows now; the other one waits for as long as an offer may still come.
    if (this.#context.ownId < this.#peerId) {
      this.#hopeless = true
      this.#release()
    }
    this.#context.onObstacle()
    this.#retryLater()
    this.#context.onChange()
  }

  #onUdp(): boolean {
    return this.#session.active?.kind === 'udp' && !this.#hasTcp()
  }

  #retryLater(): void {
    this.#retry.begin(this.#retryMs(), () => {
      if (this.#closed || !this.#session.active) return
      if (this.#onUdp()) this.#upgrades++
      else if (this.#hasDirect()) return
      this.#announce(true)
      this.#try()
    })
  }

  /** TCP carries more for less, so it is tried for again also while UDP is in use. */
  #retryMs(): number {
    const busy = this.#session.streamCount > 0
    return this.#onUdp() ? upgradeRetryMs(this.#upgrades, busy) : directRetryMs(this.#failures, busy)
  }

  /** In this network, no way to this peer was found the last time. */
  #knownHopeless(): boolean {
    return this.#context.memory.recall(this.#peerId).way === 'none'
  }

  /** Remembers what works. */
  #learn(): void {
    const { memory } = this.#context
    const { active, links } = this.#session
    if (!active || active === this.#learnt) return
    this.#learnt = active
    const { transport, how } = active
    if (transport !== 'pipe' && how !== 'relay') memory.learn(this.#peerId, { way: `${transport}/${how}` })
    for (const { ready, dialled, path } of links) {
      if (!ready || !dialled || path.kind !== 'tcp' || path.how === 'punched' || path.how === 'relay') continue
      if (path.remote) memory.learnAddress(this.#peerId, { how: path.how, endpoint: path.remote })
    }
  }

  /** Lets user bytes go over the relay. */
  #release(): void {
    this.#graceTimer?.cancel()
    this.#graceTimer = undefined
    this.#session.hold = false
  }

  #hasTcp(): boolean {
    return this.#session.links.some(link => link.ready && !link.suspect && link.kind === 'tcp')
  }

  #hasDirect(): boolean {
    return this.#session.links.some(link => link.ready && !link.suspect && isDirect(link))
  }
}
