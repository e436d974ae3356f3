import type { Situation } from '../../../common/wire/situation.ts'
import { obstacleBetween, opensTheWay } from '../../session/obstacle.ts'
import { formatDuration } from '../format-status.ts'
import { oldestHope } from '../known-from.ts'
import type { PeerStatus } from '../status.ts'
import { type Finding, finding } from './finding.ts'

/** One way to a peer, as `tcp/punched` or `tcp/lan 192.168.1.7:4000`, and what came of it. */
export interface WayReport {
  readonly way: string
  readonly result: 'in-use' | 'standby' | 'failed'
  readonly reason: string | null
}

/** All that is known of one peer. */
export interface PeerExamination {
  readonly status: PeerStatus
  readonly ways: readonly WayReport[]
  readonly here: Situation
  readonly there: Situation | null
  /** Something waits too long for an answer over the path in use. */
  readonly silent: boolean
}

/** `asked`: its owner asked after this peer, so that it is not there is more than a note. */
export function peerFinding({ status, here, there, silent }: PeerExamination, asked: boolean): Finding {
  const { name: subject, state, path, why, remedy } = status
  const absent = asked ? 'problem' : 'note'
  if (path && silent) {
    const mend = 'check that the line of this device is up, and that the peer is on'
    return finding('peer-silent', absent, why, { subject, remedy: remedy ?? mend })
  }
  if (path && path.kind !== 'relay') return finding('peer-direct', 'ok', why, { subject })
  if (path) {
    // While it is being tried, nothing is to be mended yet.
    if (remedy === null) return finding('peer-relayed', 'note', why, { subject })
    const { cause, ...mend } = obstacleBetween(here, there ?? undefined, subject)
    return finding('peer-relayed', 'note', `relayed: ${cause}`, { subject, ...mend })
  }
  switch (state) {
    case 'refused':
      return finding('peer-refused', 'problem', why, { subject, remedy, gain: 'then the two connect' })
    case 'offline':
      return finding('peer-offline', absent, why, { subject, remedy })
    case 'idle':
      return finding('peer-idle', remedy === null ? 'ok' : 'note', why, { subject, remedy })
    case 'connecting':
      return finding('peer-connecting', absent, why, { subject, remedy })
    case 'connected':
      return finding('peer-unreachable', absent, why, { subject, remedy })
    default:
      return state satisfies never
  }
}

/** Of a peer that is not reached, and may not be where it was said to be. */
export function oldFinding({ status }: PeerExamination): Finding | undefined {
  const ageS = status.path === null ? oldestHope(status.knownFrom) : undefined
  if (ageS === undefined) return undefined
  const text = `${status.name}: all that is known of where it is was told ${formatDuration(ageS)} ago`
  const remedy = 'see that both reach a relay, or meet in one network, once'
  return finding('peer-known-long-ago', 'note', text, { subject: status.name, remedy })
}

/** Where UDP is blocked, no try over it can tell more than that. */
export function failedWay(way: string, reason: string, here: Situation, there: Situation | null): WayReport {
  const blocked = (side: Situation | null) => way.startsWith('udp') && side?.udp.mapping === 'blocked'
  if (blocked(here)) return { way, result: 'failed', reason: 'this network lets no UDP out' }
  if (blocked(there)) return { way, result: 'failed', reason: 'the network of the peer lets no UDP out' }
  return { way, result: 'failed', reason }
}

/** Only a relay reaches it, and opening ports here is what would change that. */
export function isHelpedByOpening({ status, here, there }: PeerExamination): boolean {
  return status.path?.kind === 'relay' && opensTheWay(here, there ?? undefined)
}
