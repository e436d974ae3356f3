import { CulvertError } from '../../common/errors.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { SYNC_SERVICE } from '../../common/wire/sync-message.ts'
import type { AddressSources } from '../rendezvous/address-source.ts'
import type { Rendezvous } from '../rendezvous/rendezvous.ts'
import type { Peers } from '../session/peers.ts'
import type { HomeNetwork } from '../trust/home-network.ts'
import type { Network } from '../trust/network.ts'
import type { Trust } from '../trust/trust.ts'
import { ROSTER_SET, RosterSet } from './roster-set.ts'
import type { SyncOptions } from './sync.ts'
import type { SyncSet } from './sync-set.ts'

export interface SyncParts {
  readonly home: HomeNetwork
  readonly trust: Trust
  readonly peers: Peers
  readonly rendezvous: () => Rendezvous
  readonly sources: AddressSources
}

/** What the exchange with members needs of the agent. */
export function syncDoors({
  home,
  trust,
  peers,
  rendezvous,
  sources,
}: SyncParts): Pick<SyncOptions, 'setsFor' | 'live' | 'online' | 'open' | 'openNow' | 'rest'> {
  const roster = new WeakMap<Network, ReadonlyMap<number, SyncSet>>()
  const setsOf = (network: Network) => {
    const known = roster.get(network) ?? new Map([[ROSTER_SET, new RosterSet(network)]])
    roster.set(network, known)
    return known
  }
  const hasSession = (id: PeerId) => peers.peek(id)?.session?.active !== undefined
  const isThere = (id: PeerId) => rendezvous().presence(id) === true || sources.addresses(id, 'present').length > 0
  const setsFor = (peer: PeerId) => {
    const network = home.current
    if (network?.isMember(peer)) return setsOf(network)
    // Who lost its roster knows no members; those that the config names may bring it back, and hear nothing.
    return network?.own === 'unknown' && trust.isPinned(peer) ? onlyTaking(setsOf(network)) : undefined
  }
  return {
    setsFor,
    live: () => peers.list().flatMap(({ id }) => (hasSession(id) && setsFor(id) ? [id] : [])),
    online: () => [...(home.current?.memberIds() ?? [])].filter(id => isThere(id) && !hasSession(id)),
    async open(id, signal) {
      const peer = peers.get(id)
      if (!peer) throw new CulvertError('peer-unknown', 'the peer is no member any more')
      return peer.openStream(SYNC_SERVICE, signal)
    },
    openNow(id) {
      const session = peers.peek(id)?.session
      return session?.active ? session.openStream(SYNC_SERVICE) : undefined
    },
    rest: id => peers.peek(id)?.rest(),
  }
}

function onlyTaking(sets: ReadonlyMap<number, SyncSet>): ReadonlyMap<number, SyncSet> {
  const taking = [...sets.values()].map(set => {
    const { number } = set
    return { number, revision: 0, items: () => [], take: (items, from) => set.take(items, from) } satisfies SyncSet
  })
  return new Map(taking.map(set => [set.number, set]))
}
