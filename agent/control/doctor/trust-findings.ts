import { formatDuration } from '../format-status.ts'
import type { AgentStatus } from '../status.ts'
import { type Finding, finding } from './finding.ts'

/** Who is trusted is the owner's to say; what looks like a slip is told. */
export function trustFindings({ peers, strangers }: Pick<AgentStatus, 'peers' | 'strangers'>): readonly Finding[] {
  const called = strangers.map(({ id, agoS }) =>
    finding('stranger-called', 'note', `${id} called ${formatDuration(agoS)} ago and is not in "peers"`, {
      remedy: `if "culvert id" on a device of yours tells this id, add it to "peers": "NAME": { "id": "${id}" }`,
      gain: 'then the two connect',
    }),
  )
  if (peers.length > 0) return called
  const none = finding('peers-none', 'note', 'no peer is named under "peers", so nobody is let in', {
    remedy: 'write the id that "culvert id" tells on the other device into "peers" here, and the one of here there',
  })
  return [none, ...called]
}
