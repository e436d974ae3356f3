import type { AgentStatus } from './status.ts'

/** The status in one line, as `systemctl status` shows it; it must not change with each moment. */
export function statusLine(status: Pick<AgentStatus, 'peer' | 'relays' | 'peers'>): string {
  const { peer, relays, peers } = status
  const connected = peers.filter(({ state }) => state === 'connected')
  const relayed = connected.filter(({ path }) => path?.kind === 'relay').length
  const over = relayed > 0 ? ` (${relayed} over a relay)` : ''
  const up = relays.filter(({ state }) => state === 'connected').length
  return `${peer.name}: ${connected.length} of ${count(peers.length, 'peer')} connected${over}, ${up} of ${count(relays.length, 'relay')}`
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`
}
