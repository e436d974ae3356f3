import { type Clock, deadline } from '../../../common/platform/clock.ts'
import { listInterfaceAddresses } from '../../../common/platform/network-interfaces.ts'
import type { Random } from '../../../common/platform/random.ts'
import { type Endpoint, formatEndpoint, parseEndpoint } from '../../../common/wire/endpoint.ts'
import type { Situation } from '../../../common/wire/situation.ts'
import { versionsToAsk } from '../../nat/discovery-schedule.ts'
import { checkNat } from '../../nat/nat-check.ts'
import type { Verdict } from '../../nat/reach-state.ts'
import type { DhtState } from '../../rendezvous/dht/dht-directory.ts'
import { checkRelay, type RelayCheck } from '../../rendezvous/relay-check.ts'
import type { RelayAddress } from '../../rendezvous/relay-dial.ts'
import type { Service } from '../../service/services.ts'
import { checkTargets } from '../../service/target-check.ts'
import type { PathLink } from '../../session/path-link.ts'
import type { Peer } from '../../session/peer.ts'
import { settled } from '../../session/settled.ts'
import type { AgentStatus, NatStatus, PeerStatus, RelayStatus } from '../status.ts'
import { configFinding } from './config-finding.ts'
import { type Finding, finding } from './finding.ts'
import { hostFacts } from './host-facts.ts'
import { dhtFinding, hostFindings, lanFinding } from './host-findings.ts'
import { natFindings, type ReachLook, withoutWitness } from './nat-findings.ts'
import {
  failedWay,
  isHelpedByOpening,
  oldFinding,
  type PeerExamination,
  peerFinding,
  type WayReport,
} from './peer-findings.ts'
import { clockFinding, relayFindings } from './relay-findings.ts'
import { type DoctorReport, doctorReport, peerReport } from './report.ts'
import { serviceFindings } from './service-findings.ts'
import { trustFindings } from './trust-findings.ts'

/** What no check exceeds; all of them run side by side. */
const CHECK_MS = 5_000

export interface CheckDoors {
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** What a running agent is examined by. */
export interface Patient {
  readonly configPath: string
  readonly random: Random
  readonly relays: readonly RelayAddress[]
  readonly stunServers: readonly Endpoint[]
  readonly tcpPort: number
  /** Has a relay look at a TCP endpoint of ours from outside. */
  readonly lookFromOutside: (endpoint: Endpoint, signal: AbortSignal) => Promise<Verdict>
  /** Has it look again at ports that may be forwarded by hand. */
  readonly lookAtForwards: () => Promise<ReachLook | undefined>
  readonly services: readonly Service[]
  readonly dht: () => DhtState
  /** Why peers of the local network are not found; undefined when they are. */
  readonly lanProblem: () => Parameters<typeof lanFinding>[0]
  /** Those to look at: the one asked for, or all. */
  readonly peers: readonly Peer[]
  /** One peer was asked for by name: it is called if need be. */
  readonly asked: boolean
  readonly status: () => AgentStatus
  readonly situation: () => Situation
  /** Whether a relay is reached over one of these IP versions. */
  readonly isReachedOver: (versions: readonly number[]) => boolean
  readonly onChange: (listener: () => void) => () => void
}

/** Looks at everything that a running agent's paths depend on, in some five seconds. */
export async function examineAgent(patient: Patient, doors: CheckDoors): Promise<DoctorReport> {
  const { clock, signal } = doors
  const startedAt = clock.now()
  const addresses = listInterfaceAddresses()
  const [config, relays, nat, host, reach, targets] = await Promise.all([
    configFinding(patient.configPath),
    checkRelays(patient.relays, doors),
    checkNat({ clock, random: patient.random, signal, servers: patient.stunServers, addresses }),
    hostFacts(patient.tcpPort, { addresses, ...doors }),
    lookAtUs(patient, doors),
    patient.asked ? [] : checkTargets(patient.services, doors),
    patient.asked ? Promise.all(patient.peers.map(peer => seek(peer, patient, doors))) : [],
  ])
  const status = patient.status()
  const own = patient.situation()
  const online = status.relays.some(isConnected)
    ? patient.isReachedOver(versionsToAsk(patient.stunServers, addresses))
    : relays.some(({ failedAt }) => failedAt === null)
  const looked = nat
    ? { ...own, udp: { mapping: nat.udp.mapping, filtering: nat.udp.filtering }, tcp: { mapping: nat.tcp.mapping } }
    : own
  const here = withoutWitness(looked, online)
  const found = examinations(patient.peers, status.peers, here)
  const relayed = found.filter(isHelpedByOpening).map(examination => examination.status.name)
  const natNow = tellOf(nat ? freshNat(status.nat, nat) : status.nat, here)
  return doctorReport({
    agent: 'running',
    peer: status.peer,
    version: status.version,
    tookMs: Math.round(clock.now() - startedAt),
    findings: [
      config,
      ...some(clockFinding(relays, clock.wallNow())),
      ...hostFindings(host),
      ...lanFinding(patient.lanProblem()),
      ...dhtFinding(patient.dht()),
      ...relayFindings(relays, status.relays),
      ...natFindings(here, natNow, {
        relayed,
        reach,
        filteringGuessed: nat?.udp.filteringGuessed ?? false,
        outOfReach: nat === undefined && patient.stunServers.length > 0,
        noNetwork: !online && addresses.every(({ loopback }) => loopback),
      }),
      ...(patient.asked ? [] : [...serviceFindings(targets, status.forwards), ...trustFindings(status)]),
      ...found.flatMap(examination => [peerFinding(examination, patient.asked), ...some(oldFinding(examination))]),
    ],
    nat: natNow,
    relays,
    peers: found.map(peerReport),
  })
}

/** What can be said when no agent answers: the config, and whether its relays can be reached from here. */
export async function examineWithout(
  parts: { readonly configPath: string; readonly relays: readonly RelayAddress[]; readonly version: string },
  why: string,
  doors: CheckDoors,
): Promise<DoctorReport> {
  const startedAt = doors.clock.now()
  const [config, relays] = await Promise.all([configFinding(parts.configPath), checkRelays(parts.relays, doors)])
  const [fact = why, ...remedies] = why.split('; ')
  const remedy = remedies.length > 0 ? remedies.join('; ') : 'start one with "culvert agent"'
  const noAgent = finding('agent-not-running', 'problem', fact, { remedy })
  return doctorReport({
    agent: 'not-running',
    peer: null,
    version: parts.version,
    tookMs: Math.round(doors.clock.now() - startedAt),
    findings: [
      // With such a config none can be started.
      ...(config.code === 'config-invalid' ? [config, noAgent] : [noAgent, config]),
      ...some(clockFinding(relays, doors.clock.wallNow())),
      ...(config.code === 'config-invalid' ? [] : relayFindings(relays, [])),
    ],
    nat: null,
    relays,
    peers: [],
  })
}

function checkRelays(relays: readonly RelayAddress[], { clock, signal }: CheckDoors): Promise<readonly RelayCheck[]> {
  return Promise.all(relays.map(relay => checkRelay(relay, { clock, limitMs: CHECK_MS, signal })))
}

function freshNat(before: NatStatus, { udp, tcp }: NonNullable<Awaited<ReturnType<typeof checkNat>>>): NatStatus {
  const text = (endpoint: Endpoint | undefined) => (endpoint ? formatEndpoint(endpoint) : null)
  return {
    ...before,
    udp: { mapping: udp.mapping, filtering: udp.filtering, address: text(udp.address) },
    tcp: { mapping: tcp.mapping, address: text(tcp.address) },
    seenAgoS: 0,
  }
}

/** What is concluded, not what silence looked like. */
function tellOf(nat: NatStatus, { udp, tcp }: Situation): NatStatus {
  return { ...nat, udp: { ...nat.udp, ...udp }, tcp: { ...nat.tcp, ...tcp } }
}

function isConnected({ state }: RelayStatus): boolean {
  return state === 'connected'
}

/**
 * Only where something should come in: at a port that the router opened, or at a public address of this machine; else
 * where a port that its owner forwarded would.
 */
async function lookAtUs(patient: Patient, { clock, signal }: CheckDoors): Promise<ReachLook | undefined> {
  const { nat } = patient.status()
  const byHand = patient.lookAtForwards()
  const own = nat.udp.mapping === 'none' ? parseEndpoint(nat.udp.address ?? '') : undefined
  const endpoint = own ? { ...own, port: patient.tcpPort } : parseEndpoint(nat.portMapping.tcp ?? '')
  const limit = deadline(clock, CHECK_MS, signal)
  try {
    if (!endpoint) {
      const look = await Promise.race([byHand, aborted(limit.signal)])
      return look && { ...look, forward: true }
    }
    return { endpoint, verdict: await patient.lookFromOutside(endpoint, limit.signal) }
  } catch {
    // A relay that went away meanwhile has findings of its own.
    return undefined
  } finally {
    limit.done()
  }
}

/** Calls a peer, and has every direct way tried once more; what comes of it is seen in its state. */
async function seek(peer: Peer, { onChange }: Patient, { clock, signal }: CheckDoors): Promise<void> {
  const limit = deadline(clock, CHECK_MS, signal)
  try {
    await peer.ready(limit.signal)
    peer.direct?.tryNow()
    await settled(peer, { clock, limitMs: CHECK_MS, signal: limit.signal, onChange })
  } catch {
    // Why it cannot be reached is part of its state.
  } finally {
    limit.done()
  }
}

function examinations(
  peers: readonly Peer[],
  statuses: readonly PeerStatus[],
  here: Situation,
): readonly PeerExamination[] {
  return peers.flatMap(peer => {
    const status = statuses.find(({ id }) => id === peer.id)
    if (!status) return []
    const there = peer.direct?.theirSituation ?? null
    const silent = peer.session?.active?.suspect ?? false
    return [{ status, ways: waysOf(peer, here, there), here, there, silent }]
  })
}

function waysOf(peer: Peer, here: Situation, there: Situation | null): readonly WayReport[] {
  const { session, direct } = peer
  const up = (session?.links ?? [])
    .filter(({ ready }) => ready)
    .map((link): WayReport => {
      if (link.suspect) return { way: wayOf(link), result: 'failed', reason: 'nothing came over it lately' }
      return { way: wayOf(link), result: link === session?.active ? 'in-use' : 'standby', reason: null }
    })
  const failed = [...(direct?.faults ?? [])].map(([way, reason]) => failedWay(way, reason, here, there))
  return [...up, ...failed]
}

function wayOf({ transport, how, path }: PathLink): string {
  return `${transport}/${how}${path.remote ? ` ${formatEndpoint(path.remote)}` : ''}`
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise(resolve => {
    if (signal.aborted) resolve(undefined)
    else signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })
}

function some(found: Finding | undefined): readonly Finding[] {
  return found ? [found] : []
}
