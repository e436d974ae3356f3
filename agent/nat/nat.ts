import type { Clock, Timer } from '../../common/platform/clock.ts'
import type { Log } from '../../common/platform/log.ts'
import type { InterfaceAddress } from '../../common/platform/network-interfaces.ts'
import type { Random } from '../../common/platform/random.ts'
import type { Candidate } from '../../common/wire/candidate.ts'
import { type Endpoint, formatEndpoint } from '../../common/wire/endpoint.ts'
import { type PeerId, shortPeerId } from '../../common/wire/peer-id.ts'
import { candidatesOf } from './candidates.ts'
import { readDefaultGateways } from './default-gateway.ts'
import { NatDiscovery } from './discovery.ts'
import { type NatReport, natReport } from './nat-report.ts'
import { NetworkWatch } from './network-watch.ts'
import { PortMappingKeeper } from './port-mapping-driver.ts'
import { NO_PORT_MAPPING } from './port-mapping-report.ts'
import { UpnpMapper } from './upnp/upnp-mapper.ts'

export type { NatReport } from './nat-report.ts'

export interface NatOptions {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Where we listen. */
  readonly tcpPort: number
  readonly udpPort: number
  /** Whether the router may be asked to open ports. */
  readonly portMapping: boolean
  readonly interfaces: () => readonly InterfaceAddress[]
  readonly ownId: PeerId
}

/** What stands between this machine and the others, kept up to date. */
export interface Nat {
  report(): NatReport
  /** Where peers may reach us, best first. */
  candidates(): readonly Candidate[]
  /** The servers to ask, of all relays and the config; new ones are asked at once. */
  setStunServers(servers: readonly Endpoint[]): void
  /** Looks at everything again, because of something that only the caller saw; `reason` is for the log. */
  refresh(reason: string): void
  /**
   * Calls the listener after the report or the candidates changed in more than the port of an observed address; returns
   * what ends it.
   */
  onChange(listener: () => void): () => void
  /** Deletes our port mappings, in at most a second, and ends all asking. */
  close(): Promise<void>
}

/** Ours: an address that just appeared needs a moment until its route and its router answer. */
const SETTLE_MS = 300

/** Starts watching the network; resolves at once, and finds out the rest in the background. */
export function startNat(options: NatOptions): Promise<Nat> {
  const { clock, random, log, interfaces, tcpPort, udpPort } = options
  const listeners = new Set<() => void>()
  let told = ''
  let settling: Timer | undefined
  let mappings: PortMappingKeeper | undefined

  const report = () => {
    return natReport(discovery.udp, discovery.tcp, mappings?.report() ?? NO_PORT_MAPPING, interfaces())
  }
  const candidates = () => {
    const { portMapping } = report()
    return candidatesOf({ addresses: interfaces(), tcpPort, mapped: portMapping, open: openAddress(discovery) })
  }
  const changed = () => {
    const now = signature(report(), candidates())
    if (now === told) return
    told = now
    logReport(log, report())
    for (const listener of listeners) listener()
  }
  const refresh = (reason: string) => {
    log.debug('looking at the network again', { reason })
    discovery.refresh(SETTLE_MS)
    settling?.cancel()
    settling = clock.after(SETTLE_MS, () => mappings?.networkChanged())
    changed()
  }

  const discovery = new NatDiscovery({ clock, random, log, interfaces, onChange: changed })
  const watch = new NetworkWatch({
    clock,
    interfaces,
    gateways: readDefaultGateways,
    onEvent: event => refresh(event),
  })
  if (options.portMapping) {
    mappings = new PortMappingKeeper({
      clock,
      log,
      mappers: [new UpnpMapper({ clock, random, interfaces })],
      gateways: readDefaultGateways,
      ports: { tcp: tcpPort, udp: udpPort },
      description: `culvert ${shortPeerId(options.ownId)}`,
      onChange: () => changed(),
    })
  }
  told = signature(report(), candidates())

  return Promise.resolve({
    report,
    candidates,
    setStunServers: servers => discovery.setServers(servers),
    refresh,
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async close() {
      listeners.clear()
      watch.close()
      settling?.cancel()
      discovery.close()
      await mappings?.close()
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

function logReport(log: Log, { udp, tcp, carrierNat, portMapping }: NatReport): void {
  const text = (endpoint: Endpoint | null) => (endpoint ? formatEndpoint(endpoint) : null)
  log.info('network', {
    udp: udp.mapping,
    filtering: udp.filtering,
    address: text(udp.address),
    tcp: tcp.mapping,
    carrierNat,
    mapping: portMapping.protocol,
    mappedTcp: text(portMapping.tcp),
    mappedUdp: text(portMapping.udp),
    problem: portMapping.problem,
  })
}
