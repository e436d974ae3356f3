import { formatAddress } from '../../config/address.ts'
import type { TargetFault } from '../../service/target-check.ts'
import { formatDuration } from '../format-status.ts'
import type { ForwardStatus } from '../status.ts'
import { type Finding, finding } from './finding.ts'

/** What is offered and does not answer here, and what was wanted and did not come. */
export function serviceFindings(
  faults: readonly TargetFault[],
  forwards: readonly ForwardStatus[],
): readonly Finding[] {
  return [...faults.map(targetFinding), ...forwards.flatMap(forwardFinding)]
}

function targetFinding({ service: { name, target }, why }: TargetFault): Finding {
  return finding(
    'service-down',
    'note',
    `the service ${name} takes no connection at ${formatAddress(target)}: ${why}`,
    {
      remedy: `start what it stands for, or correct its target under "services"`,
      gain: 'then peers can use it',
    },
  )
}

function forwardFinding({ listen, to, state, problem, lastFailure }: ForwardStatus): readonly Finding[] {
  if (state === 'failed') {
    return [
      finding('forward-failed', 'problem', `the forward to ${to} does not listen: ${problem ?? listen}`, {
        remedy: `free ${listen}, or choose another address for it`,
      }),
    ]
  }
  if (lastFailure === null) return []
  const age = formatDuration(lastFailure.agoS)
  return [finding('forward-unanswered', 'note', `the forward ${listen} failed ${age} ago: ${lastFailure.reason}`)]
}
