import type { Clock, Timer } from '../../common/platform/clock.ts'
import type { Log, LogFields } from '../../common/platform/log.ts'
import type { InterfaceAddress } from '../../common/platform/network-interfaces.ts'
import type { Random } from '../../common/platform/random.ts'
import type { Candidate } from '../../common/wire/candidate.ts'
import { type Endpoint, formatEndpoint } from '../../common/wire/endpoint.ts'
import { type PeerId, shortPeerId } from '../../common/wire/peer-id.ts'
import { candidatesOf } from './candidates.ts'
import { readDefaultGateways, readDefaultGateways6 } from './default-gateway.ts'
import { NatDiscovery } from './discovery.ts'
import { forwardedEndpoints } from './forwarded.ts'
import { MapperRace } from './mapper-race.ts'
import { claimedEndpoints, type NatReport, natReport } from './nat-report.ts'
import { NetworkWatch } from './network-watch.ts'
import { PinholeMapper } from './port-control/pinhole-mapper.ts'
import { PortControlMapper } from './port-control/port-control-mapper.ts'
import { PortMappingKeeper } from './port-mapping-driver.ts'
import { firewallUnopened, mappable, NO_PORT_MAPPING } from './port-mapping-report.ts'
import type { ReachBook, Transport } from './reach-book.ts'
import { type LookFromOutside, ReachKeeper } from './reach-keeper.ts'
import type { Verdict } from './reach-state.ts'
import { ipVersionsOf } from './situation.ts'
import { UpnpMapper } from './upnp/upnp-mapper.ts'

export type { NatReport } from './nat-report.ts'

export interface NatOptions {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Where we listen. */
  readonly tcpPort: number
  readonly udpPort: number
  /** A socket of ours takes strangers' datagrams on the UDP port. */
  readonly acceptsUdp: boolean
  /** Whether the router may be asked to open ports. */
  readonly portMapping: boolean
  readonly interfaces: () => readonly InterfaceAddress[]
  readonly ownId: PeerId
  /** Somebody has no direct path and would have one if more came through. */
  readonly wanted: () => boolean
  /** A relay is reached over one of these IP versions. */
  readonly online: (versions: readonly number[]) => boolean
  /** Known to nobody else, and the same after a restart: proves to a router that a mapping is ours (RFC 6887 §11.2). */
  readonly mappingSecret: Uint8Array
  /** How to see from outside whether a mapping works; absent = the router is believed. */
  readonly reach?: { readonly book: ReachBook; readonly look: LookFromOutside }
}

/** What stands between this machine and the others, kept up to date. */
export interface Nat {
  report(): NatReport
  /** How old that is, in ms, as long as nobody answers; undefined while nothing is known. */
  ageMs(): number | undefined
  /** Where peers may reach us, best first. */
  candidates(): readonly Candidate[]
  /** Our router's own address outside, where it stands behind another NAT; undefined when it has none or does not tell. */
  addressBetweenNats(): string | undefined
  /** The servers to ask, of all relays and the config; new ones are asked at once. */
  setStunServers(servers: readonly Endpoint[]): void
  /** A relay came: it may be able to look at our ports from outside. */
  onRelay(): void
  /** Looks at everything again, because of something that only the caller saw; `reason` is for the log. */
  refresh(reason: string): void
  /** No direct way was found where one should be: looks again whether what is known still holds, at most once a minute. */
  doubt(): void
  /**
   * Has somebody outside look again at ports that may be forwarded by hand; resolves with what came of the TCP port,
   * undefined where there is none to look at.
   */
  lookAtForwards(): Promise<{ readonly endpoint: Endpoint; readonly verdict: Verdict } | undefined>
  /** Looks at the machine's own network now rather than in two seconds. */
  lookNow(): void
  /**
   * Calls the listener after the report or the candidates changed in more than the port of an observed address; returns
   * what ends it.
   */
  onChange(listener: () => void): () => void
  /** Calls the listener when the machine's own network changed, or it woke from sleep; returns what ends it. */
  onNetwork(listener: () => void): () => void
  /** Deletes our port mappings, in at most a second, and ends all asking. */
  close(): Promise<void>
}

/** Finding out takes several steps; the log tells what came of them. */
const LOG_AFTER_MS = 4_000

/** Ours: an address that just appeared needs a moment until its route and its router answer. */
const SETTLE_MS = 300

/** Starts watching the network; resolves at once, and finds out the rest in the background. */
export function startNat(options: NatOptions): Promise<Nat> {
  const { clock, random, log, interfaces, tcpPort, udpPort } = options
  const listeners = new Set<() => void>()
  const networkListeners = new Set<() => void>()
  let told = ''
  let logged = ''
  let logging: Timer | undefined
  let settling: Timer | undefined
  let mappings: PortMappingKeeper | undefined
  let pinholes: PortMappingKeeper | undefined
  /** The router's first word on what it opens on request, or nobody asks it. */
  let routerHasSpoken = false

  const mapped = () => {
    const found = mappings?.report() ?? NO_PORT_MAPPING
    const opened = pinholes?.report()
    // Where only IPv6 is to be had, what its firewall lets in is all there is to tell.
    const absent = found.protocol === 'none' && found.problem !== undefined
    if (absent && opened?.tcp) return { ...opened, externalAddress: found.externalAddress }
    if (!absent || ipVersionsOf(interfaces()).includes(4)) return found
    return { ...found, problem: opened?.protocol === 'pcp' ? opened.problem : firewallUnopened(options) }
  }
  const mayBeForwarded = () => {
    const mapping = mappings?.report() ?? NO_PORT_MAPPING
    // What the router may still open needs no guess.
    routerHasSpoken ||= mappings === undefined || mapping.problem !== undefined
    if (!routerHasSpoken) return {}
    const ports = { tcp: tcpPort, udp: options.acceptsUdp ? udpPort : undefined }
    return forwardedEndpoints({ udp: discovery.udp, tcp: discovery.tcp, mapping, ports })
  }
  /** Only what was seen to lead here: nobody claims it. */
  const forwarded = () => {
    const { tcp, udp } = mayBeForwarded()
    const seen = (transport: Transport, endpoint: Endpoint | undefined) =>
      endpoint && forwards[transport]?.verdictOn(endpoint) === 'reached' ? endpoint : undefined
    return { tcp: seen('tcp', tcp), udp: seen('udp', udp) }
  }
  const report = () => {
    const verdictOn = (transport: Transport, endpoint: Endpoint) =>
      reach[transport] ? reach[transport].verdictOn(endpoint) : 'unknown'
    return natReport(discovery.udp, discovery.tcp, mapped(), interfaces(), verdictOn, forwarded())
  }
  const candidates = () => {
    const { portMapping } = report()
    const { between } = mapped()
    return candidatesOf({
      addresses: interfaces(),
      tcpPort,
      ...(options.acceptsUdp ? { udpPort } : {}),
      mapped: portMapping,
      forwarded: forwarded(),
      between,
      open: openAddress(discovery),
    })
  }
  const changed = () => {
    const claimed = claimedEndpoints(discovery.udp, discovery.tcp, mapped())
    const byHand = mayBeForwarded()
    for (const transport of ['tcp', 'udp'] as const) {
      reach[transport]?.watch(claimed[transport])
      forwards[transport]?.watch(byHand[transport])
    }
    const now = signature(report(), candidates())
    if (now === told) return
    told = now
    logging?.cancel()
    logging = clock.after(LOG_AFTER_MS, () => logChange())
    for (const listener of listeners) listener()
  }
  const logChange = () => {
    const fields = reportFields(report())
    const text = JSON.stringify(fields)
    if (text !== logged) log.info('network', fields)
    logged = text
  }
  const refresh = (reason: string) => {
    log.debug('looking at the network again', { reason })
    discovery.networkChanged(SETTLE_MS)
    settling?.cancel()
    settling = clock.after(SETTLE_MS, () => {
      mappings?.networkChanged()
      pinholes?.networkChanged()
      for (const keeper of keepers) keeper.onNetwork()
    })
    changed()
  }

  const keeperOf = (transport: Transport) =>
    options.reach && new ReachKeeper({ clock, log, ...options.reach, transport, onChange: () => changed() })
  const keepersOf = (): Readonly<Record<Transport, ReachKeeper | undefined>> => ({
    tcp: keeperOf('tcp'),
    udp: options.acceptsUdp ? keeperOf('udp') : undefined,
  })
  const reach = keepersOf()
  const forwards = keepersOf()
  const keepers = [reach.tcp, reach.udp, forwards.tcp, forwards.udp].filter(keeper => keeper !== undefined)
  const { wanted, online } = options
  const discovery = new NatDiscovery({ clock, random, log, interfaces, wanted, online, onChange: changed })
  const watch = new NetworkWatch({
    clock,
    interfaces,
    gateways: readDefaultGateways,
    onEvent: event => {
      refresh(event)
      for (const listener of networkListeners) listener()
    },
  })
  if (options.portMapping) {
    const doors = { clock, random, interfaces, secret: options.mappingSecret }
    const shared = {
      clock,
      log,
      ports: { tcp: tcpPort, udp: udpPort },
      description: `culvert ${shortPeerId(options.ownId)}`,
      onChange: () => changed(),
    }
    const mapper = new MapperRace(clock, [new PortControlMapper(doors), new UpnpMapper(doors)])
    mappings = new PortMappingKeeper({
      ...shared,
      wanted: mappable(shared.ports),
      mapper,
      gateways: readDefaultGateways,
    })
    pinholes = new PortMappingKeeper({ ...shared, mapper: new PinholeMapper(doors), gateways: readDefaultGateways6 })
  }
  told = signature(report(), candidates())

  return Promise.resolve({
    report,
    ageMs: () => discovery.ageMs,
    candidates,
    addressBetweenNats: () => mapped().between?.address,
    setStunServers: servers => discovery.setServers(servers),
    onRelay() {
      discovery.onRelay()
      for (const keeper of keepers) keeper.onRelay()
    },
    refresh,
    doubt: () => discovery.doubt(),
    async lookAtForwards() {
      const { tcp: endpoint } = mayBeForwarded()
      const [verdict] = await Promise.all([forwards.tcp?.lookNow(), forwards.udp?.lookNow()])
      return endpoint && verdict && { endpoint, verdict }
    },
    lookNow: () => watch.look(),
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    onNetwork(listener) {
      networkListeners.add(listener)
      return () => networkListeners.delete(listener)
    },
    async close() {
      listeners.clear()
      networkListeners.clear()
      watch.close()
      settling?.cancel()
      logging?.cancel()
      discovery.close()
      for (const keeper of keepers) keeper.close()
      await Promise.all([mappings?.close(), pinholes?.close()])
    },
  })
}

/** What listeners are told about. The outside ports are those of the last question, another one each time. */
function signature({ udp, tcp, carrierNat, portMapping }: NatReport, candidates: readonly Candidate[]): string {
  const seen = [udp.mapping, udp.filtering, udp.address?.address, tcp.mapping, tcp.address?.address]
  return JSON.stringify([seen, carrierNat, portMapping, candidates])
}

/** A machine behind one-to-one address translation, as in many clouds, is reached at its outside address. */
function openAddress({ udp }: NatDiscovery): string | undefined {
  const open = udp.mapping === 'endpoint-independent' && udp.filtering === 'endpoint-independent'
  return open ? udp.address?.address : undefined
}

function reportFields({ udp, tcp, carrierNat, portMapping }: NatReport): LogFields {
  const text = (endpoint: Endpoint | null) => (endpoint ? formatEndpoint(endpoint) : null)
  return {
    udp: udp.mapping,
    filtering: udp.filtering,
    // Its port is another one at every question.
    address: udp.address?.address ?? null,
    tcp: tcp.mapping,
    carrierNat,
    mapping: portMapping.protocol,
    mappedTcp: text(portMapping.tcp),
    mappedUdp: text(portMapping.udp),
    verified: portMapping.verified,
    problem: portMapping.problem,
  }
}
