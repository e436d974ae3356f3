import test from 'ava'
import type { AgentStatus, PathStatus, PeerStatus } from '../../../../agent/control/status.ts'
import { statusLine } from '../../../../agent/control/status-line.ts'

const path: PathStatus = {
  kind: 'tcp',
  transport: 'tcp',
  how: 'lan',
  local: null,
  remote: null,
  via: null,
  rttMs: 1,
  sinceS: 1,
}

function status(peers: readonly Pick<PeerStatus, 'state' | 'path'>[], relays: readonly string[]) {
  return { peer: { id: 'x', name: 'attic' }, peers, relays: relays.map(state => ({ state })) } as unknown as AgentStatus
}

test('one line tells how many peers are connected, how, and how many relays', t => {
  const relayed = { ...path, kind: 'relay' } as const
  const peers = [
    { state: 'connected', path },
    { state: 'connected', path: relayed },
    { state: 'offline', path: null },
  ] as const
  t.is(
    statusLine(status(peers, ['connected', 'connecting'])),
    'attic: 2 of 3 peers connected (1 over a relay), 1 of 2 relays',
  )
  t.is(statusLine(status(peers.slice(0, 1), ['connected'])), 'attic: 1 of 1 peer connected, 1 of 1 relay')
  t.is(statusLine(status([], [])), 'attic: 0 of 0 peers connected, 0 of 0 relays')
})
