import { CulvertError } from '../../common/errors.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { SYNC_SERVICE } from '../../common/wire/sync-message.ts'
import type { AddressRecords } from '../rendezvous/address-records.ts'
import type { AddressSources } from '../rendezvous/address-source.ts'
import type { Rendezvous } from '../rendezvous/rendezvous.ts'
import type { Peers } from '../session/peers.ts'
import type { HomeNetwork } from '../trust/home-network.ts'
import type { Network } from '../trust/network.ts'
import type { Trust } from '../trust/trust.ts'
import { RecordSet } from './record-set.ts'
import { RosterSet } from './roster-set.ts'
import type { SyncOptions } from './sync.ts'
import type { SyncItem, SyncSet } from './sync-set.ts'

export interface SyncParts {
  readonly home: HomeNetwork
  readonly trust: Trust
  readonly peers: Peers
  readonly rendezvous: () => Rendezvous
  readonly sources: AddressSources
  readonly records: AddressRecords
}

export interface SyncDoors extends Pick<SyncOptions, 'setsFor' | 'live' | 'online' | 'open' | 'openNow' | 'rest'> {
  /** Where a peer says that it is, if members are to hear that. */
  readonly recordNews: (peer: PeerId) => SyncItem | undefined
}

/** What the exchange with members needs of the agent. */
export function syncDoors({ home, trust, peers, rendezvous, sources, records }: SyncParts): SyncDoors {
  const kept = new WeakMap<Network, readonly [RosterSet, RecordSet]>()
  const setsOf = (network: Network) => {
    const sets = kept.get(network) ?? ([new RosterSet(network), new RecordSet(network, records)] as const)
    kept.set(network, sets)
    return sets
  }
  const hasSession = (id: PeerId) => peers.peek(id)?.session?.active !== undefined
  const isThere = (id: PeerId) => rendezvous().presence(id) === true || sources.isPresent(id)
  const setsFor = (peer: PeerId) => {
    const network = home.current
    if (network?.isMember(peer)) return byNumber(setsOf(network))
    // Who lost its roster knows no members; those that the config names may bring it back, and hear nothing.
    return network?.own === 'unknown' && trust.isPinned(peer) ? byNumber(setsOf(network).map(onlyTaking)) : undefined
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
    recordNews: id => (home.current ? setsOf(home.current)[1].newsOf(id) : undefined),
  }
}

function byNumber(sets: readonly SyncSet[]): ReadonlyMap<number, SyncSet> {
  return new Map(sets.map(set => [set.number, set]))
}

function onlyTaking(set: SyncSet): SyncSet {
  return { number: set.number, revision: 0, items: () => [], take: (items, from) => set.take(items, from) }
}
