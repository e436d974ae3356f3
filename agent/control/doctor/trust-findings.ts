import { formatDuration } from '../format-status.ts'
import type { AgentStatus, NetworkStatus } from '../status.ts'
import { type Finding, finding } from './finding.ts'

/** Who is trusted is the owner's to say; what looks like a slip is told. */
export function trustFindings({
  peers,
  strangers,
  network,
}: Pick<AgentStatus, 'peers' | 'strangers' | 'network'>): readonly Finding[] {
  const called = strangers.map(({ id, agoS }) =>
    finding('stranger-called', 'note', `${id} called ${formatDuration(agoS)} ago and is not in "peers"`, {
      remedy: `if "culvert id" on a device of yours tells this id, add it to "peers": "NAME": { "id": "${id}" }`,
      gain: 'then the two connect',
    }),
  )
  const about = [...networkFindings(network), ...called]
  if (peers.length > 0) return about
  const none = finding(
    'peers-none',
    'note',
    'no peer is named under "peers" or in a network of ours: nobody is let in',
    {
      remedy: 'write the id that "culvert id" tells on the other device into "peers" here, and the one of here there',
    },
  )
  return [none, ...about]
}

function networkFindings(network: NetworkStatus | null): readonly Finding[] {
  if (network === null || network.problem === null) return []
  const isIn = network.standing === 'member'
  return [finding(isIn ? 'network-damaged' : 'network-out', isIn ? 'note' : 'problem', network.problem)]
}
