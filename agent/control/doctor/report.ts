import type { Situation } from '../../../common/wire/situation.ts'
import type { RelayCheck } from '../../rendezvous/relay-check.ts'
import type { NatStatus } from '../status.ts'
import { type Finding, isHealthy } from './finding.ts'
import type { PeerExamination } from './peer-findings.ts'

/** What `culvert doctor --json` prints: the names are a contract with whoever reads them. */
export interface DoctorReport {
  readonly agent: 'running' | 'not-running'
  /** Null when no agent runs. */
  readonly peer: { readonly id: string; readonly name: string } | null
  readonly version: string
  readonly tookMs: number
  /** No finding is a problem. */
  readonly healthy: boolean
  readonly findings: readonly Finding[]
  readonly nat: NatStatus | null
  readonly relays: readonly RelayCheck[]
  /** Those asked for, or all. */
  readonly peers: readonly PeerReport[]
}

export interface PeerReport {
  readonly id: string
  readonly name: string
  readonly state: string
  readonly path: PeerExamination['status']['path']
  readonly why: string
  readonly remedy: string | null
  readonly ways: PeerExamination['ways']
  readonly here: SituationReport
  /** What the peer told of its own network; null until it did. */
  readonly there: SituationReport | null
}

export interface SituationReport extends Omit<Situation, 'problem' | 'lanAddress'> {
  readonly problem: string | null
  readonly lanAddress: string | null
}

export function doctorReport(parts: Omit<DoctorReport, 'healthy'>): DoctorReport {
  return { ...parts, healthy: isHealthy(parts.findings) }
}

export function peerReport({ status, ways, here, there }: PeerExamination): PeerReport {
  const { id, name, state, path, why, remedy } = status
  const told = there && situationReport(there)
  return { id, name, state, path, why, remedy, ways, here: situationReport(here), there: told }
}

function situationReport({ problem, lanAddress, ...known }: Situation): SituationReport {
  return { ...known, problem: problem === '' ? null : problem, lanAddress: lanAddress ?? null }
}
