import type { Duplex } from 'node:stream'
import { CulvertError, reasonOf } from '../common/errors.ts'
import type { Clock } from '../common/platform/clock.ts'
import type { KeyPair } from '../common/platform/ed25519.ts'
import type { Log } from '../common/platform/log.ts'
import type { Random } from '../common/platform/random.ts'
import type { Endpoint } from '../common/wire/endpoint.ts'
import type { PeerId } from '../common/wire/peer-id.ts'
import type { StreamKind } from '../common/wire/session-frame.ts'
import type { Situation } from '../common/wire/situation.ts'
import { formatAddress, parseAddress, parseTarget } from './config/address.ts'
import type { AgentConfig, ForwardOption } from './config/agent-config.ts'
import { EVERY_SERVICE, forwardTargetFault } from './config/forward-target.ts'
import { parsePeerService } from './config/name.ts'
import type { BenchReply, ControlTarget, ForwardReply, PingReply, RemoveReply } from './control/control-target.ts'
import { examineAgent, type Patient } from './control/doctor/examine.ts'
import type { DoctorReport } from './control/doctor/report.ts'
import type { KnownFrom } from './control/known-from.ts'
import type { AgentStatus } from './control/status.ts'
import { pathStatus, statusOf } from './control/status-of.ts'
import type { InviteReply, InviteWish, Joining, JoinReply } from './join/joining.ts'
import type { Nat } from './nat/nat.ts'
import type { ProbeBudget } from './nat/probe-budget.ts'
import { StunList } from './nat/stun-list.ts'
import type { NetworkDesk } from './network-desk.ts'
import type { PeerPipes } from './peer-pipes.ts'
import { relayAddresses } from './rendezvous/relay-addresses.ts'
import type { Rendezvous } from './rendezvous/rendezvous.ts'
import { type BenchWish, benchRequest, measure } from './service/bench.ts'
import type { Forwards } from './service/forwards.ts'
import type { Services } from './service/services.ts'
import type { PathLink } from './session/path-link.ts'
import type { Peer } from './session/peer.ts'
import type { Peers } from './session/peers.ts'
import { settled } from './session/settled.ts'
import type { SessionStream } from './session/stream.ts'
import type { DevicesOfAdmin } from './trust/signing.ts'
import type { Strangers } from './trust/strangers.ts'
import type { Trust } from './trust/trust.ts'
import { VERSION } from './version.ts'

/** What cannot change while the agent runs; the rest is taken over by `reconfigure`. */
const RESTART_KEYS = ['stateDir', 'controlSocket', 'listen'] as const satisfies readonly (keyof AgentConfig)[]

/** A relay must not have us ask all STUN servers again and again. */
const DRIFT_APART_MS = 10_000

/** A path that was asked has answered or is suspect within 2.5 s, be its round trip ever so long. */
const LOOK_MS = 2_600

/** Of members that there is nothing with, no more are listed: who has thousands asks for one by name. */
const MAX_LISTED_MEMBERS = 1_000

/** How long a measurement waits for the attempts at a direct path: it is to measure the path that will be used. */
const SETTLE_MS = 5_000

export interface AgentParts {
  readonly identity: KeyPair
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly config: AgentConfig
  readonly trust: Trust
  readonly strangers: Strangers
  readonly network: NetworkDesk
  readonly joining: Joining
  readonly nat: Nat
  readonly peers: Peers
  readonly services: Services
  readonly forwards: Forwards
  readonly situation: () => Situation
  readonly lanProblem: Patient['lanProblem']
  readonly dht: Patient['dht']
  readonly knownFrom: (peer: PeerId) => readonly KnownFrom[]
  readonly configPath: string
  /** Where paths come in. */
  readonly tcpPort: number
  readonly lookFromOutside: Patient['lookFromOutside']
  readonly probes: ProbeBudget
  readonly pipes: PeerPipes
  readonly rendezvousOf: (relays: AgentConfig['relays']) => Rendezvous
  readonly resolveStun: (hosts: readonly string[]) => Promise<readonly Endpoint[]>
  /** Monotonic, ms. */
  readonly startedAt: number
  /** Reads the config again. */
  readonly reload: () => Promise<void>
}

/** The parts of an agent at work: what the control socket asks of it, and what a change of the config means. */
export class RunningAgent implements ControlTarget {
  readonly #parts: AgentParts
  readonly #listeners = new Set<() => void>()
  #config: AgentConfig
  #rendezvous: Rendezvous
  readonly #stun: StunList
  #closed = false
  #observed: ReadonlyMap<string, string> = new Map()
  #driftedAt = Number.NEGATIVE_INFINITY

  constructor(parts: AgentParts) {
    this.#parts = parts
    this.#config = parts.config
    this.#rendezvous = parts.rendezvousOf(parts.config.relays)
    const { clock, log, resolveStun, nat } = parts
    this.#stun = new StunList({
      clock,
      log,
      resolve: resolveStun,
      ofRelays: () => this.#rendezvous.stunServers(),
      onChange: servers => nat.setStunServers(servers),
    })
  }

  get config(): AgentConfig {
    return this.#config
  }

  get rendezvous(): Rendezvous {
    return this.#rendezvous
  }

  /** Of the relays that are connected, and of the config. */
  get stunServers(): readonly Endpoint[] {
    return this.#stun.servers
  }

  async start(): Promise<void> {
    const { nat, peers, trust } = this.#parts
    nat.onNetwork(() => {
      this.#rendezvous.wake()
      void this.#stun.configure(this.#config.nat.stun)
    })
    nat.onChange(() => {
      peers.onNetworkChange()
      this.changed()
    })
    this.#offer()
    peers.update(trust.pinned())
    this.#parts.pipes.check()
    await Promise.all(this.#config.forwards.map(forward => this.#forward(forward.listen, forward.to, true)))
    void this.#stun.configure(this.#config.nat.stun)
  }

  /** A relay came or went, or told new STUN servers. */
  onRelayChange(): void {
    if (this.#closed) return
    this.#lookForDrift()
    this.#parts.pipes.check()
    this.#stun.refresh()
    if (this.#rendezvous.connected) {
      this.#parts.nat.onRelay()
      this.#parts.peers.onRelay()
    }
    this.changed()
  }

  /** A relay that sees us come from elsewhere tells of a change further out, which no local sign shows. */
  #lookForDrift(): void {
    const before = this.#observed
    this.#observed = this.#rendezvous.observed()
    const now = this.#parts.clock.now()
    const drifted = [...this.#observed].some(([url, address]) => (before.get(url) ?? address) !== address)
    if (!drifted || now - this.#driftedAt < DRIFT_APART_MS) return
    this.#driftedAt = now
    this.#parts.nat.refresh('a relay sees another address')
  }

  changed(): void {
    for (const listener of this.#listeners) listener()
  }

  async reconfigure(next: AgentConfig): Promise<void> {
    const { trust, peers, log, probes } = this.#parts
    const before = this.#config
    this.#config = next
    trust.update(next.peers)
    probes.limits = next.nat.probeBudget
    this.#offer()
    if (JSON.stringify(before.relays) !== JSON.stringify(next.relays)) {
      this.#rendezvous.close()
      this.#rendezvous = this.#parts.rendezvousOf(next.relays)
    }
    peers.update(trust.pinned())
    this.#parts.pipes.check()
    await this.#reconcileForwards(before, next)
    await this.#stun.configure(next.nat.stun)
    const later = RESTART_KEYS.filter(key => JSON.stringify(before[key]) !== JSON.stringify(next[key])).map(String)
    if (before.nat.portMapping !== next.nat.portMapping) later.push('nat.portMapping')
    log.info('config read again', later.length > 0 ? { takesEffectAfterRestart: later.join(',') } : undefined)
    this.changed()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#stun.close()
    this.#parts.peers.close()
    this.#rendezvous.close()
    await this.#parts.forwards.close()
  }

  // -- ControlTarget

  status(): AgentStatus {
    const { identity, trust, strangers, network, nat, peers, services, forwards, startedAt, clock } = this.#parts
    const now = clock.now()
    const present = peers.list()
    const others = network.otherMembers(id => peers.peek(id) !== undefined, MAX_LISTED_MEMBERS)
    return statusOf(
      {
        id: identity.id,
        name: this.#config.name,
        version: VERSION,
        startedAt,
        rendezvous: this.#rendezvous,
        nat,
        situation: this.#parts.situation(),
        probes: this.#parts.probes,
        knownFrom: this.#parts.knownFrom,
        network: network.status(),
        peerRelay: this.#parts.pipes.status(),
        peers: present,
        others,
        nameOf: id => trust.nameOf(id) ?? id,
        memberOf: id => network.member(id),
        services,
        forwards,
        strangers: strangers.list(id => trust.isTrusted(id), now),
      },
      now,
    )
  }

  async freshStatus(signal: AbortSignal): Promise<AgentStatus> {
    await Promise.all([this.#parts.peers.look(LOOK_MS, signal), this.#rendezvous.look()])
    return this.status()
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async connect(peer: string, service: string, signal: AbortSignal): Promise<Duplex> {
    const stream = await this.open(peer, service, signal)
    const abort = () => stream.reset('aborted', 'the local program went away')
    signal.addEventListener('abort', abort, { once: true })
    try {
      await stream.accepted()
      return stream
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  async ping(peer: string, signal: AbortSignal): Promise<PingReply> {
    const { link, rttMs } = await this.#peer(peer).ping(signal)
    return { rttMs, path: this.#pathOf(link) }
  }

  async bench(name: string, wish: BenchWish, signal: AbortSignal): Promise<BenchReply> {
    const { clock, random } = this.#parts
    const peer = this.#peer(name)
    const session = await peer.ready(signal)
    await settled(peer, { clock, limitMs: SETTLE_MS, signal, onChange: listener => this.onChange(listener) })
    const begun = session.active
    if (!begun) throw new CulvertError('peer-unreachable', `the path to ${name} was lost`)
    const relayed = begun.kind === 'relay'
    const outcome = await measure(session, benchRequest(wish, relayed), { clock, random, signal })
    const { active } = session
    return {
      direction: wish.direction,
      ...outcome,
      bitsPerS: outcome.ms > 0 ? Math.round((outcome.bytes * 8000) / outcome.ms) : 0,
      path: this.#pathOf(begun),
      pathAtEnd: active && active !== begun ? this.#pathOf(active) : null,
      limitedByRelay: relayed && !wish.overRelay,
    }
  }

  doctor(name: string | undefined, signal: AbortSignal): Promise<DoctorReport> {
    // What it tells is read at the end, some seconds later.
    void this.#rendezvous.look()
    const { clock, random, nat, peers, services, situation, configPath, tcpPort, lookFromOutside } = this.#parts
    return examineAgent(
      {
        configPath,
        random,
        relays: relayAddresses(this.#config.relays, process.env),
        stunServers: this.#stun.servers,
        tcpPort,
        lookFromOutside,
        lookAtForwards: () => nat.lookAtForwards(),
        lanProblem: this.#parts.lanProblem,
        dht: this.#parts.dht,
        services: services.list(),
        peers: name === undefined ? peers.list() : [this.#peer(name)],
        asked: name !== undefined,
        status: () => this.status(),
        situation,
        isReachedOver: versions => this.#rendezvous.isReachedOver(versions),
        onChange: listener => this.onChange(listener),
      },
      { clock, signal },
    )
  }

  reload(): Promise<void> {
    return this.#parts.reload()
  }

  invite(wish: InviteWish): Promise<InviteReply> {
    return this.#parts.joining.invite(wish)
  }

  async join(code: string, name: string, signal: AbortSignal): Promise<JoinReply> {
    const joined = await this.#parts.joining.join(code, name, signal)
    // A relay may have refused who belonged to no network.
    if (!joined.already) this.#rendezvous.wake()
    return joined
  }

  remove(peer: string, devices: DevicesOfAdmin): Promise<RemoveReply> {
    return this.#parts.network.remove(peer, devices)
  }

  addForward(listen: string, to: string | undefined): Promise<ForwardReply> {
    return this.#forward(listen, to, false)
  }

  removeForward(listen: string): Promise<boolean> {
    const address = parseAddress(listen)
    return this.#parts.forwards.remove(address ? formatAddress(address) : listen)
  }

  /** A stream, or a flow, to a service of a peer, which need not have been accepted yet. */
  async open(peer: string, service: string, signal: AbortSignal, kind: StreamKind = 'bytes'): Promise<SessionStream> {
    return this.#peer(peer).openStream(service, signal, kind)
  }

  #pathOf(link: PathLink): PingReply['path'] {
    const { clock, trust } = this.#parts
    const { kind, transport, how, local, remote, via } = pathStatus(link, clock.now(), id => trust.nameOf(id) ?? id)
    return { kind, transport, how, local, remote, via }
  }

  #peer(nameOrId: string): Peer {
    const { trust, peers } = this.#parts
    const id = trust.idOf(nameOrId)
    const peer = id === undefined ? undefined : peers.get(id)
    if (peer) return peer
    const known = trust.peers().map(({ name }) => name)
    const more = known.length > 10 ? ` and ${known.length - 10} more` : ''
    const list = known.length > 0 ? `; known are ${known.slice(0, 10).join(', ')}${more}` : '; there is none yet'
    throw new CulvertError('peer-unknown', `no peer is called "${nameOrId}"${list}`)
  }

  #offer(): void {
    this.#parts.services.offered = Object.entries(this.#config.services).flatMap(([name, { target, allow }]) => {
      const address = parseTarget(target)
      return address ? [{ name, target: address, allow }] : []
    })
  }

  async #forward(listen: string, to: string | undefined, keepTrying: boolean): Promise<ForwardReply> {
    const address = parseAddress(listen)
    if (!address) {
      const remedy = 'write tcp://HOST:PORT, udp://HOST:PORT, unix:/PATH or socks5://HOST:PORT'
      throw new CulvertError('usage', `"${listen}" is no address to listen on; ${remedy}`)
    }
    const fault = forwardTargetFault(address, to)
    if (fault) throw new CulvertError('usage', `"${to}" ${fault.problem}; ${fault.remedy}`)
    const target = to === undefined ? undefined : parsePeerService(to)
    if (!keepTrying && target) this.#peer(target.peer)
    await this.#parts.forwards.add({ listen: address, to: target }, keepTrying)
    this.changed()
    return { listen: formatAddress(address), to: to ?? EVERY_SERVICE }
  }

  async #reconcileForwards(before: AgentConfig, next: AgentConfig): Promise<void> {
    const key = (forward: ForwardOption) => `${forward.listen} ${forward.to}`
    const kept = new Set(next.forwards.map(key))
    const had = new Set(before.forwards.map(key))
    for (const forward of before.forwards) {
      if (!kept.has(key(forward))) await this.removeForward(forward.listen)
    }
    const running = new Set(this.#parts.forwards.report().map(({ listen }) => listen))
    for (const forward of next.forwards) {
      const address = parseAddress(forward.listen)
      // One that a command removed is wanted again.
      if (had.has(key(forward)) && address && running.has(formatAddress(address))) continue
      try {
        await this.#forward(forward.listen, forward.to, true)
      } catch (thrown) {
        this.#parts.log.error('a forward was not taken over', { listen: forward.listen, reason: reasonOf(thrown) })
      }
    }
  }
}
