import type { X509Certificate } from 'node:crypto'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { type Clock, pause } from '../common/platform/clock.ts'
import type { KeyPair } from '../common/platform/ed25519.ts'
import { createRateGate, type Log } from '../common/platform/log.ts'
import { listInterfaceAddresses } from '../common/platform/network-interfaces.ts'
import type { Random } from '../common/platform/random.ts'
import { addressKey } from '../common/wire/address-key.ts'
import { addressScope, type Endpoint } from '../common/wire/endpoint.ts'
import type { PeerId } from '../common/wire/peer-id.ts'
import { relayNameOf } from '../common/wire/relay-proof.ts'
import { type AdminServer, openAdminServer } from './admin-server.ts'
import { reconnectWindowMs } from './admission.ts'
import { retryWhileInUse } from './bind-retry.ts'
import { lookAtCertificate } from './certificate-names.ts'
import { CHECKS_PER_KEEP_ALIVE, ControlLine, type ControlLineParts } from './control-line.ts'
import { Counters } from './counters.ts'
import { openHttpFront } from './http-front.ts'
import { formatMetrics } from './metrics.ts'
import { NetworkDesk } from './network-desk.ts'
import { formatOptionFault, type RelayOptions } from './options.ts'
import { parseListen } from './options-schema.ts'
import { PipeDesk } from './pipe-desk.ts'
import { ProvenChains } from './proven-chains.ts'
import { KeyedBuckets } from './quota.ts'
import { ReachDesk, type ReachRequest } from './reach-desk.ts'
import type { SpliceMode } from './splice.ts'
import { probeSpliceMode } from './splice-probe.ts'
import { fileOf, readStandings, StandingsKeeper } from './standings-file.ts'
import { metricsOf, type RelayStatus } from './status.ts'
import { stayAlive } from './stay-alive.ts'
import { openStunServer, type StunServer } from './stun-server.ts'
import { Switchboard } from './switchboard.ts'
import { RELAY_TIMING, type RelayTiming } from './timing.ts'
import { loadTls, type TlsMaterial, TlsReload, tlsMark } from './tls-reload.ts'
import { Traffic } from './traffic.ts'

/** What a relay needs from outside. */
export interface RelayDoors {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly key: KeyPair
  /** Absent = the faster one that works here. */
  readonly spliceMode?: SpliceMode
  readonly timing?: Partial<RelayTiming>
  /** Where it is remembered who was removed; absent = nowhere. */
  readonly stateDir?: string
}

export interface Relay extends AsyncDisposable {
  readonly id: PeerId
  readonly spliceMode: SpliceMode
  readonly http: Endpoint
  readonly admin: Endpoint | undefined
  /** The one that is served now, with TLS. */
  readonly certificate: X509Certificate | undefined
  /** The ports of STUN, main one first; undefined when it is off. */
  readonly stunPorts: readonly [number, number] | undefined
  status(): RelayStatus
  /** Calls back when an agent comes or goes. */
  onChange(listener: () => void): void
  /** Takes over what can change without cutting anything: `admit` and `limits`. Returns the keys that need a restart. */
  reconfigure(options: RelayOptions): readonly string[]
  reloadTls(): Promise<void>
  /** Tells agents, lets pipes finish for a while, closes everything. */
  stop(): Promise<void>
}

const LAG_RESOLUTION_MS = 20
const MBIT_BYTES = 125_000
const GB_BYTES = 1e9
const MAX_HANDSHAKE_SOURCES = 10_000
/** How often the log tells that an address was refused. */
const REFUSAL_LOG_MS = 60_000

/** Starts a relay; throws `port-in-use`, `bad-config` or `io` when a part of it cannot be had. */
export async function startRelay(initial: RelayOptions, doors: RelayDoors): Promise<Relay> {
  using _starting = stayAlive()
  const { clock, random, log, key } = doors
  const timing = { ...RELAY_TIMING, ...doors.timing }
  const counters = new Counters()
  const startedAt = clock.now()
  let options = initial
  let goingAway = false
  let changed = (): void => undefined
  let stun: StunServer | undefined

  const spliceMode = doors.spliceMode ?? (await probeSpliceMode(clock))
  const bytesOf = (count: number | null, unit: number) => (count === null ? null : count * unit)
  const traffic = new Traffic(
    clock,
    () => ({
      bytesPerSecond: bytesOf(options.limits.mbitPerPeer, MBIT_BYTES),
      bytesPerDay: bytesOf(options.limits.gbPerPeerPerDay, GB_BYTES),
    }),
    () => ({
      bytesPerSecond: bytesOf(options.limits.mbit, MBIT_BYTES),
      bytesPerDay: bytesOf(options.limits.gbPerDay, GB_BYTES),
    }),
  )
  const pipes = new PipeDesk({
    clock,
    random,
    log: log.area('pipe'),
    counters,
    traffic,
    limits: () => ({ ...options.limits, ticketLifeMs: timing.ticketLifeMs }),
    // Where anyone is admitted, identities cost nothing. A private address may be that of a proxy before all agents.
    payingAddress: address =>
      options.admit === 'anyone' && addressScope(address) === 'public' ? addressKey(address) : undefined,
    payerOf: peer => networks.payerOf(peer, switchboard.directory.get(peer)),
    mode: spliceMode,
  })
  const switchboard: Switchboard<ControlLine> = new Switchboard(pipes, clock, log.area('line'), counters, {
    mayCall: (caller, callee) => networks.mayCall(caller, callee),
    isExpected: (caller, callee) => networks.isExpected(caller, callee),
    watchable: (line, peers) => networks.watchable(line, peers),
  })

  const reach = new ReachDesk({ clock, counters })
  const lookFor = async (line: ControlLine, request: ReachRequest) => {
    if (line.peer === undefined) return
    if (line.standing?.name === 'guest') {
      line.tell({ type: 'reached', check: request.check, outcome: 'refused' })
      return
    }
    const outcome = await reach.look(line.peer, line.ends.remote.address, request)
    line.tell({ type: 'reached', check: request.check, outcome })
  }

  const chains = new ProvenChains()
  const mayShakeHands = (from: Endpoint, tokens: number) => {
    // Where few are allowed a second, none may cost more than there ever are.
    const cost = Math.min(tokens, Math.max(1, options.limits.handshakesPerSecond / 2))
    return handshakesOf.take(addressKey(from.address), cost, clock.now()) && handshakes.take('', cost, clock.now())
  }
  const networks: NetworkDesk<ControlLine> = new NetworkDesk({
    clock,
    log: log.area('line'),
    counters,
    chains,
    lines: () => switchboard.directory.lines(),
    lineOf: peer => switchboard.directory.get(peer),
    isAdmitted: network => options.admit !== 'anyone' && options.admit.includes(network),
    mayVerify: mayShakeHands,
    onRemoved: peer => pipes.cutAll(peer, 'removed from its network'),
    onChange: () => standings?.changed(),
  })
  const standings =
    doors.stateDir === undefined
      ? undefined
      : new StandingsKeeper(doors.stateDir, clock, log, () => fileOf(networks.standings.chains()))
  for (const chain of doors.stateDir === undefined ? [] : await readStandings(doors.stateDir, log)) {
    networks.standings.take(chain)
  }
  networks.forgetOthers()

  const handshakes = new KeyedBuckets(() => rate(options.limits.handshakesPerSecond), 1)
  const handshakesOf = new KeyedBuckets(() => rate(options.limits.handshakesPerSecond / 2), MAX_HANDSHAKE_SOURCES)
  const refusalGate = createRateGate(clock, REFUSAL_LOG_MS)
  const url = initial.url === undefined ? undefined : relayNameOf(new URL(initial.url))
  const addresses = (initial.stun !== false && initial.stun.addresses) || []
  const files = initial.tls
  const seen = files ? await tlsMark(files) : ''
  const material = files ? await loadTls(files) : undefined
  let certificate = material?.certificate
  const lineParts: ControlLineParts = {
    clock,
    random,
    log: log.area('line'),
    counters,
    key,
    timing,
    terms: () => ({ admit: options.admit, names: { url, certificate, addresses }, networks: networks.terms }),
    mayShakeHands,
    chains,
    mayLogRefusal: from => refusalGate(addressKey(from.address)),
    rivalOf: (peer, instance) => switchboard.rivalOf(peer, instance),
    reconnectWindowMs: () => reconnectWindowMs(switchboard.directory.size),
    stunFor: localAddress => stun?.endpointsFor(localAddress) ?? [],
    onOpen: line => {
      switchboard.opened(line)
      networks.opened(line)
      warnOfPrivateStun(line)
      changed()
    },
    onMessage: (line, message) => {
      if (message.type === 'reach') void lookFor(line, message)
      else if (message.type === 'guests') networks.expect(line, message.guests)
      else if (message.type === 'statement') networks.state(line, message.chain)
      else switchboard.received(line, message)
    },
    onClose: line => {
      networks.closed(line)
      if (goingAway) return
      switchboard.closed(line)
      changed()
    },
  }
  let warned = false
  /** Behind a one-to-one NAT, agents would be told an address that is only good inside. */
  const warnOfPrivateStun = ({ ends }: ControlLine) => {
    if (warned || !stun || stun.layout.addresses.length > 0) return
    if (addressScope(ends.remote.address) !== 'public' || addressScope(ends.local.address) === 'public') return
    warned = true
    log.warn('agents from outside are told a private STUN address: set stun.addresses', { address: ends.local.address })
  }

  await using opened = new AsyncDisposableStack()
  if (options.stun !== false) {
    const { addresses = [], port } = options.stun
    const parts = { clock, random, log: log.area('stun'), counters, timing, interfaces: listInterfaceAddresses }
    stun = opened.use(await openStunServer(addresses, port, parts))
  }
  const front = await openHttpFront(parseListen(options.listen) ?? { address: '::', port: 0 }, {
    clock,
    log: log.area('http'),
    counters,
    timing,
    tls: material,
    limits: () => options.limits,
    healthy: () => !goingAway,
    onLine: (socket, ends) => {
      if (goingAway) socket.terminate()
      else new ControlLine(socket, ends, lineParts)
    },
    onPipe: (ticket, socket, early) => !goingAway && pipes.attach(ticket, socket, early),
  })
  opened.defer(() => {
    front.close()
    front.cut()
  })
  const warnOfCertificate = () => {
    if (!files || !certificate) return
    const parts = { file: files.cert, url: initial.url, now: new Date(clock.wallNow()) }
    const { faults, warnings } = lookAtCertificate(certificate, parts)
    for (const fault of faults) log.error(formatOptionFault(fault))
    for (const warning of warnings) log.warn(formatOptionFault(warning))
  }
  warnOfCertificate()
  const useTls = (newer: TlsMaterial) => {
    front.useTls(newer)
    certificate = newer.certificate
    warnOfCertificate()
  }
  if (options.admit === 'anyone' && addressScope(front.local.address) !== 'loopback') {
    log.warn('anyone may use this relay: to close it, list the ids of your network, or of your agents, in admit')
  }
  const tls = files ? new TlsReload(files, seen, clock, log.area('tls'), useTls) : undefined
  tls?.poll(timing.tlsPollMs)
  opened.defer(() => tls?.stop())

  const adminListen = options.admin === null ? undefined : parseListen(options.admin)
  const lag = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS })
  // Sampling wakes the process fifty times a second, so only for somebody who looks at it.
  if (adminListen) lag.enable()
  const status = (): RelayStatus => ({
    healthy: !goingAway,
    lines: switchboard.directory.size,
    connections: front.connections(),
    pipesOpen: pipes.size,
    pipesJoined: pipes.joined,
    throttled: traffic.paused,
    remembered: networks.standings.size,
    guests: networks.guests.size,
    pipeBytes: traffic.bytes,
    uptimeS: (clock.now() - startedAt) / 1000,
    loopLagS: { p50: lagS(lag.percentile(50)), p99: lagS(lag.percentile(99)), max: lagS(lag.max) },
    residentBytes: process.memoryUsage.rss(),
    cpuS: (process.cpuUsage().user + process.cpuUsage().system) / 1e6,
  })
  const metrics = () => {
    const text = formatMetrics(metricsOf(status(), counters))
    lag.reset()
    return text
  }
  let admin: AdminServer | undefined
  if (adminListen) {
    const pages = { healthy: () => !goingAway, metrics }
    admin = await retryWhileInUse(clock, timing.bindRetryMs, () => openAdminServer(adminListen, pages))
    opened.defer(() => admin?.close())
  }
  const sweep = clock.every(timing.keepAliveMs / CHECKS_PER_KEEP_ALIVE, () => {
    const now = clock.now()
    for (const line of switchboard.directory.lines()) line.checkAlive(now)
    networks.sweep()
  })
  const pipeChecks = clock.every(timing.pipeCheckMs, () => pipes.checkAlive())

  opened.defer(() => {
    reach.close()
    lag.disable()
    sweep.cancel()
    pipeChecks.cancel()
    traffic.stop()
  })
  const closing = opened.move()
  let stopped: Promise<void> | undefined
  const stop = () => {
    stopped ??= shutDown()
    return stopped
  }
  const shutDown = async () => {
    using _stopping = stayAlive()
    goingAway = true
    // Nothing listens while the last pipes finish: the next process may be starting already.
    front.close()
    await Promise.all([stun?.close(), admin?.close(), standings?.close()])
    for (const line of switchboard.directory.lines()) line.goAway()
    // Time for the last words to leave, and for agents to answer the close, even when no pipe holds us up.
    await Promise.all([pipes.drain(timing.drainMs), pause(clock, Math.min(100, timing.drainMs))])
    await closing.disposeAsync()
  }
  return {
    id: key.id,
    spliceMode,
    http: front.local,
    admin: admin?.local,
    get certificate() {
      return certificate
    },
    stunPorts: stun?.layout.ports,
    status,
    onChange(listener) {
      changed = listener
    },
    reconfigure: next => {
      const restart = (['listen', 'tls', 'url', 'stun', 'admin', 'stateDir'] as const).filter(
        name => JSON.stringify(next[name]) !== JSON.stringify(initial[name]),
      )
      options = { ...initial, admit: next.admit, limits: next.limits }
      networks.forgetOthers()
      return restart
    },
    reloadTls: async () => tls?.reload(),
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

/** The histogram holds the sampling period too. */
const lagS = (nanoseconds: number) => Math.max(0, nanoseconds / 1e9 - LAG_RESOLUTION_MS / 1000)

const rate = (perSecond: number) => ({ perSecond, burst: Math.max(1, perSecond) })
