import { isIPv4 } from 'node:net'
import { systemClock } from '../common/platform/clock.ts'
import { boundYoungGeneration, giveBackMemory, heldBytes } from '../common/platform/engine.ts'
import { IdleMemory } from '../common/platform/idle-memory.ts'
import { openLinkSocket } from '../common/platform/link-socket.ts'
import type { Log, LogLevel } from '../common/platform/log.ts'
import { markMachine, marksHere } from '../common/platform/machine-mark.ts'
import { memoryLimitBytes } from '../common/platform/memory-limit.ts'
import { listInterfaceAddresses, listLinkLocalAddresses } from '../common/platform/network-interfaces.ts'
import { systemRandom } from '../common/platform/random.ts'
import { serviceManager } from '../common/platform/service-manager.ts'
import { BENCH_SERVICE } from '../common/wire/bench-message.ts'
import { type PeerId, shortPeerId } from '../common/wire/peer-id.ts'
import { SYNC_SERVICE } from '../common/wire/sync-message.ts'
import type { AgentConfig } from './config/agent-config.ts'
import { ConfigReload } from './config-reload.ts'
import { startControlServer } from './control/control-server.ts'
import { refuseSecondAgent } from './control/control-socket.ts'
import { statusLine } from './control/status-line.ts'
import { deriveSecret } from './identity/derive-secret.ts'
import { loadOrCreateIdentity, tidyStateDir } from './identity/identity.ts'
import { openStablePorts } from './identity/stable-ports.ts'
import { Joining } from './join/joining.ts'
import { PendingJoin } from './join/pending-join.ts'
import type { MappingBehaviour } from './nat/behaviour.ts'
import { withOutside } from './nat/candidates.ts'
import { readDefaultGateways } from './nat/default-gateway.ts'
import { type NatReport, startNat } from './nat/nat.ts'
import { networkFingerprint, readArpTable } from './nat/network-fingerprint.ts'
import { ProbeBudget } from './nat/probe-budget.ts'
import { ReachBook } from './nat/reach-book.ts'
import { checkReach } from './nat/reach-check.ts'
import type { LookFromOutside } from './nat/reach-keeper.ts'
import { situationOf } from './nat/situation.ts'
import { resolveStunHosts } from './nat/stun-hosts.ts'
import { ThisMachine } from './nat/this-machine.ts'
import { NetworkDesk } from './network-desk.ts'
import { openTcpPort, openUdpPort } from './open-ports.ts'
import { closeAllDatachannels } from './path/datachannel/attempt.ts'
import { createSealer } from './path/seal.ts'
import { PeerPipes } from './peer-pipes.ts'
import { RelayVoice } from './relay-voice.ts'
import { LanDiscovery } from './rendezvous/lan/lan-discovery.ts'
import { relayAddresses } from './rendezvous/relay-addresses.ts'
import { Rendezvous } from './rendezvous/rendezvous.ts'
import { RunningAgent } from './running-agent.ts'
import { BenchService } from './service/bench-service.ts'
import { Forwards } from './service/forwards.ts'
import { RECORD_SET } from './service/record-set.ts'
import { Services } from './service/services.ts'
import { Sync } from './service/sync.ts'
import { syncDoors } from './service/sync-doors.ts'
import { keepFewerBuffers } from './session/buffers.ts'
import type { UdpSituation } from './session/datachannels.ts'
import { memoryPlan } from './session/memory-plan.ts'
import { openPathMemory } from './session/path-memory-file.ts'
import type { PeerContext } from './session/peer-context.ts'
import { Peers } from './session/peers.ts'
import { SearchGate } from './session/search-gate.ts'
import type { SessionStream } from './session/stream.ts'
import { WindowBudget } from './session/window.ts'
import { HomeNetwork } from './trust/home-network.ts'
import { Strangers } from './trust/strangers.ts'
import { createTrust } from './trust/trust.ts'
import { VERSION } from './version.ts'
import { openWhereabouts } from './whereabouts.ts'

export interface AgentContext {
  readonly configPath: string
  readonly log: Log & { setLevel(level: LogLevel): void }
  /** Ends the agent. */
  readonly signal: AbortSignal
  /** Registers what is to be done when the config shall be read again. */
  readonly reload: (listener: () => void) => void
}

/** Puts the stages together, in the order of the data flow, and takes them apart in reverse when the signal aborts. */
export async function runAgent(config: AgentConfig, context: AgentContext): Promise<void> {
  const { log, signal } = context
  const clock = systemClock
  const random = systemRandom
  await using cleanup = new AsyncDisposableStack()

  await refuseSecondAgent(config.controlSocket)
  const identity = await loadOrCreateIdentity(config.stateDir, { log })
  await tidyStateDir(config.stateDir, clock, log)
  const ports = await openStablePorts(config.stateDir, { random, log })
  const home = await HomeNetwork.open({
    stateDir: config.stateDir,
    identity,
    clock,
    random,
    log: log.area('network'),
    onChange: change => {
      network.onChange(change)
      voice.onChange(change)
    },
  })
  cleanup.defer(() => home.save())
  const guests = () => joining.guests()
  const voice = new RelayVoice({ clock, home, log: log.area('network'), rendezvous: () => agent.rendezvous, guests })
  const trust = createTrust(config.peers, identity.id, () => home.current)
  const strangers = new Strangers()
  const admits = (id: PeerId) => {
    const trusted = trust.isTrusted(id)
    if (trusted || joining.isGuest(id)) return true
    strangers.note(id, clock.now())
    voice.turnedAway(id)
    return false
  }

  const sealer = createSealer(identity, clock)
  const joining = await Joining.open({
    stateDir: config.stateDir,
    identity,
    sealer,
    home,
    clock,
    random,
    log: log.area('join'),
    software: `culvert/${VERSION}`,
    env: process.env,
    relays: () => agent.config.relays.map(({ url, id }) => (id ? { url, id } : { url })),
    looksOnLan: () => agent.config.lan.discovery,
    endpoints: () => nat.candidates().flatMap(({ kind, endpoint }) => (kind === 'tcp' ? [endpoint] : [])),
    addresses: () => listInterfaceAddresses().map(({ address }) => address),
    isTaken: (name, peer) => {
      const holder = trust.idOf(name)
      if (holder !== undefined) return holder !== peer
      return Object.values(agent.config.services).some(({ allow }) => allow.includes(`peer:${name}`))
    },
    onChange: () => {
      lan.keysChanged()
      agent.rendezvous.tellGuests()
    },
  })
  cleanup.defer(() => joining.close())
  const reachBook = new ReachBook(identity.id, random)
  const look: LookFromOutside = (...wish) => agent.rendezvous.lookFromOutside(...wish)
  const reach = { book: reachBook, look }
  const mark = await markMachine(identity.id)
  cleanup.defer(() => mark?.[Symbol.dispose]())
  const thisMachine = new ThisMachine({ clock, interfaces: listInterfaceAddresses, marks: marksHere })
  const paths = await openPathMemory({
    stateDir: config.stateDir,
    clock,
    log,
    network: () => {
      const { udp, tcp } = nat.report()
      // Just after the start no STUN server has answered yet, but a relay told where it sees us.
      const outside = (udp.address ?? tcp.address)?.address ?? [...agent.rendezvous.observed().values()].find(isIPv4)
      return networkFingerprint(readDefaultGateways(), readArpTable(), outside)
    },
  })
  cleanup.defer(() => paths.close())
  const whereabouts = await openWhereabouts({
    stateDir: config.stateDir,
    identity,
    clock,
    random,
    log,
    trust,
    home,
    nat: () => nat,
    memory: paths.memory,
    config: () => agent.config,
    rendezvous: () => agent.rendezvous,
    peers: () => peers,
  })
  const { sources, records } = whereabouts
  cleanup.defer(() => whereabouts.close())
  const udpPorts = await openUdpPort(config, ports, {
    clock,
    random,
    log: log.area('path'),
    answerToReach: content => reachBook.answerTo('udp', content),
  })
  cleanup.defer(() => udpPorts?.close())
  const udpPort = udpPorts?.number ?? (config.listen.udp || ports.port('udp'))

  // What comes in from here on, and the router's first answer, must find all parts there: nothing more is waited for until
  // they are.
  const listener = await openTcpPort(config, ports, {
    ownId: identity.id,
    sealer,
    clock,
    log: log.area('path'),
    isTrusted: admits,
    onPath: path => (joining.isGuest(path.peer) ? joining.serve(path) : peers.attach(path)),
    answerToProbe: bytes => reachBook.answerTo('tcp', bytes),
  })
  cleanup.defer(() => listener.close())
  const nat = await startNat({
    clock,
    random,
    log: log.area('nat'),
    tcpPort: listener.port,
    udpPort,
    acceptsUdp: udpPorts !== undefined,
    portMapping: config.nat.portMapping,
    interfaces: listInterfaceAddresses,
    ownId: identity.id,
    wanted: () => peers.list().some(peer => peer.wantsDirect),
    online: versions => agent.rendezvous.isReachedOver(versions),
    mappingSecret: deriveSecret(identity, 'port mapping'),
    reach,
  })
  cleanup.defer(() => nat.close())
  nat.onChange(() => records.own.changed())

  const instance = random.bytes(8)
  const rendezvousOf = (relays: AgentConfig['relays']) =>
    new Rendezvous({
      relays: relayAddresses(relays, process.env, url => records.relayAddress(url)),
      identity,
      clock,
      random,
      log: log.area('relay'),
      software: `culvert/${VERSION}`,
      instance,
      addresses: () => listInterfaceAddresses().map(({ address }) => address),
      isTrusted: admits,
      homesOf: id => records.homesOf(id),
      onCall: call => (joining.isGuest(call.from) ? joining.answer(call) : peers.answer(call)),
      onPresence: (id, online) => peers.onPresence(id, online),
      onLost: () => peers.check(),
      onChange: () => {
        records.own.changed()
        agent.onRelayChange()
      },
      onTime: serverTime => home.current?.noteTime(Math.floor(serverTime / 1000)),
      network: voice,
    })

  const pipes = new PeerPipes({
    clock,
    random,
    log: log.area('carry'),
    limits: () => agent.config.peerRelay,
    trust,
    home,
    peers: () => peers,
    rendezvous: () => agent.rendezvous,
    sources,
    records,
    onChange: () => agent.changed(),
  })
  cleanup.defer(() => pipes.close())
  const situation = () =>
    situationOf(nat.report(), {
      addresses: listInterfaceAddresses(),
      ports: { tcp: listener.port, udp: udpPort },
      portMapping: config.nat.portMapping,
    })
  const bench = new BenchService({
    clock,
    random,
    isRelayed: id => peers.peek(id)?.session?.active?.kind === 'relay',
  })
  const services = new Services({
    clock,
    log: log.area('service'),
    mayUse: (id, allow) => trust.mayUse(id, allow),
    builtIn: new Map([
      [BENCH_SERVICE, (peer: PeerId, stream: SessionStream) => bench.serve(peer, stream)],
      [SYNC_SERVICE, (peer: PeerId, stream: SessionStream) => sync.serve(peer, stream)],
      ...pipes.services,
    ]),
  })
  const probes = new ProbeBudget(clock, config.nat.probeBudget)
  const limitBytes = memoryLimitBytes()
  const plan = memoryPlan(limitBytes)
  if (plan.keptBuffers < 1) {
    keepFewerBuffers(plan.keptBuffers)
    log.info('little memory: fewer buffers', { limitMb: Math.round(limitBytes / 1e6) })
  }
  const peerContext: PeerContext = {
    ownId: identity.id,
    sealer,
    clock,
    random,
    log: log.area('peer'),
    budget: new WindowBudget(plan.windowBytes, plan.unacknowledgedBytes),
    memory: paths.memory,
    sources,
    pipes: pipes.pipes,
    records: { own: () => records.own.bytes, takeFrom: (id, bytes) => records.takeFrom(id, bytes) },
    graceMs: () => agent.config.relay.graceMs,
    rendezvous: () => agent.rendezvous,
    candidates: () => withOutside(nat.candidates(), udpPorts?.outside),
    ports: udpPorts,
    situation,
    isOwnAddress: address => thisMachine.isOwnAddress(address),
    isOnThisMachine: id => thisMachine.runs(id),
    stunServers: () => agent.stunServers,
    udp: () => udpSituation(udpPorts ? undefined : udpPort, nat.report()),
    hardTcpNat: () => isHard(nat.report().tcp.mapping),
    addressBetweenNats: () => nat.addressBetweenNats(),
    hardUdpNat: () => isHard(nat.report().udp.mapping),
    probes,
    searchGate: new SearchGate(clock, log.area('path')),
    nameOf: id => trust.nameOf(id) ?? shortPeerId(id),
    onObstacle: () => nat.doubt(),
    onSuspect: () => nat.lookNow(),
    onStream: (peer, stream) => void services.serve(peer, stream),
    onUp: peer => sync.onUp(peer),
    onChange: () => agent.changed(),
  }
  const peers = new Peers(peerContext, {
    isMember: id => home.current?.isMember(id) ?? false,
    members: () => home.current?.memberIds() ?? [],
  })
  const doors = syncDoors({ home, trust, peers, rendezvous: () => agent.rendezvous, sources, records })
  const sync = new Sync({ ownId: identity.id, clock, random, log: log.area('network'), ...doors })
  cleanup.defer(() => sync.close())
  sources.onLearnt(id => {
    const news = doors.recordNews(id)
    if (news) sync.tell({ set: RECORD_SET, items: [news], from: id, urgent: false, spread: false })
  })
  strangers.onNote = () => sync.doubt()
  const network = new NetworkDesk({
    ownId: identity.id,
    clock,
    log: log.area('network'),
    trust,
    peers,
    home,
    sync,
    onChange: () => {
      pipes.check()
      services.review()
      agent.changed()
    },
  })
  cleanup.defer(() => network.close())
  const forwards = new Forwards({
    clock,
    log: log.area('forward'),
    open: (peer, service, gone, kind) => agent.open(peer, service, gone, kind),
    peerNames: () => trust.peers().map(({ name }) => name),
  })
  const agent: RunningAgent = new RunningAgent({
    identity,
    clock,
    random,
    log,
    config,
    trust,
    strangers,
    network,
    joining,
    nat,
    peers,
    services,
    forwards,
    situation,
    lanProblem: () => lan.problem,
    dht: () => whereabouts.dht.state,
    knownFrom: id => whereabouts.knownFrom(id),
    configPath: context.configPath,
    tcpPort: listener.port,
    lookFromOutside: (endpoint, limit) => checkReach(endpoint, { ...reach, signal: limit }),
    probes,
    pipes,
    rendezvousOf,
    resolveStun: resolveStunHosts,
    startedAt: clock.now(),
    reload: () => reload.now(),
  })
  const lan = new LanDiscovery({
    ownId: identity.id,
    tcpPort: listener.port,
    clock,
    random,
    openSocket: openLinkSocket,
    log: log.area('lan'),
    enabled: () => agent.config.lan.discovery,
    interfaces: listInterfaceAddresses,
    linkLocal: listLinkLocalAddresses,
    keys: () => ({
      pinned: Object.values(agent.config.peers).map(({ id }) => id),
      network: home.current?.secret,
      offered: joining.lanKeys(),
    }),
    onSeen: peer => sources.learnt(peer),
  })
  sources.add(lan)
  nat.onNetwork(() => lan.renew())
  cleanup.defer(() => closeAllDatachannels())
  cleanup.defer(() => agent.close())
  cleanup.defer(() => lan.close())

  await agent.start()
  whereabouts.dht.changed()
  const pending = new PendingJoin({
    stateDir: config.stateDir,
    clock,
    log: log.area('join'),
    join: (code, stop) => agent.join(code, agent.config.name, stop),
  })
  cleanup.defer(() => pending.close())
  nat.onNetwork(() => pending.wake())
  void pending.start()
  const manager = serviceManager(process.env, { clock, log, status: () => statusLine(agent.status()) })
  cleanup.defer(() => manager.close())
  const reload = new ConfigReload({
    path: context.configPath,
    ownId: identity.id,
    log,
    manager,
    async apply(next) {
      await agent.reconfigure(next)
      records.own.changed()
      lan.keysChanged()
      whereabouts.dht.changed()
    },
  })
  const control = await startControlServer({
    socketPath: config.controlSocket,
    target: agent,
    clock,
    log: log.area('control'),
  })
  cleanup.use(control)

  const memory = new IdleMemory({
    clock,
    busy: () => peers.list().some(({ session }) => session !== undefined && session.streamCount > 0),
    heldBytes,
    giveBack: giveBackMemory,
  })
  cleanup.defer(() => memory.close())
  agent.onChange(() => {
    boundYoungGeneration()
    memory.worked()
    manager.changed()
  })
  memory.worked()

  context.reload(() => void reload.now().catch(() => undefined))
  log.info('agent ready', { id: identity.id, name: config.name, tcp: listener.port, udp: udpPort })
  manager.ready()
  await aborted(signal)
  log.info('agent stops')
  manager.stopping()
}

/** RFC 4787 §4.1: what a relay sees of such a NAT is not what a peer would meet. */
function isHard(mapping: MappingBehaviour): boolean {
  return mapping === 'address-dependent' || mapping === 'address-and-port-dependent'
}

/** A data channel has our port, and its mapping, only where UDX does not hold it. */
function udpSituation(port: number | undefined, { udp, portMapping }: NatReport): UdpSituation {
  const open = udp.filtering === 'none' || udp.filtering === 'endpoint-independent'
  return { port, mapped: port === undefined ? undefined : (portMapping.udp ?? undefined), filtered: !open }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    // The timer keeps the process alive: every other one lets it go.
    const alive = setInterval(() => undefined, 2 ** 30)
    const end = () => {
      clearInterval(alive)
      resolve()
    }
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
}
