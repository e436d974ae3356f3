import type { Clock } from '../common/platform/clock.ts'
import type { KeyPair } from '../common/platform/ed25519.ts'
import type { Log } from '../common/platform/log.ts'
import type { Random } from '../common/platform/random.ts'
import type { PeerId } from '../common/wire/peer-id.ts'
import type { AgentConfig } from './config/agent-config.ts'
import { type KnownFrom, knownFrom } from './control/known-from.ts'
import { readDefaultGateways } from './nat/default-gateway.ts'
import type { Nat } from './nat/nat.ts'
import { readArpTable } from './nat/network-fingerprint.ts'
import { placesOf } from './nat/places.ts'
import { resolveStunHosts } from './nat/stun-hosts.ts'
import { AddressRecords } from './rendezvous/address-records.ts'
import { AddressSources } from './rendezvous/address-source.ts'
import type { DhtDirectory } from './rendezvous/dht/dht-directory.ts'
import { startDht } from './rendezvous/dht/start-dht.ts'
import type { Rendezvous } from './rendezvous/rendezvous.ts'
import { type PathMemory, rememberedAddresses } from './session/path-memory.ts'
import type { Peers } from './session/peers.ts'
import type { HomeNetwork } from './trust/home-network.ts'
import type { Trust } from './trust/trust.ts'

/** Another network is noticed by then. */
const PLACES_MS = 2_000

export interface WhereaboutsOptions {
  readonly stateDir: string
  readonly identity: KeyPair
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly trust: Trust
  readonly home: HomeNetwork
  readonly nat: () => Nat
  readonly memory: PathMemory
  readonly config: () => AgentConfig
  readonly rendezvous: () => Rendezvous
  readonly peers: () => Peers
}

/** Where we are, as others are told, and where peers are: by memory, by their records, and by the DHT. */
export interface Whereabouts {
  readonly sources: AddressSources
  readonly records: AddressRecords
  readonly dht: DhtDirectory
  /** Who says where a peer is. */
  knownFrom(peer: PeerId): readonly KnownFrom[]
  close(): Promise<void>
}

export async function openWhereabouts(options: WhereaboutsOptions): Promise<Whereabouts> {
  const { stateDir, identity, clock, random, log, trust, home, nat, memory, config, rendezvous, peers } = options
  const sources = new AddressSources()
  sources.add(rememberedAddresses(memory))
  sources.onLearnt(id => peers().onAddress(id))
  const records = await AddressRecords.open({
    stateDir,
    identity,
    clock,
    log,
    isTrusted: id => trust.isTrusted(id),
    isPinned: id => trust.isPinned(id),
    places: remembered(clock, () => placesOf(readDefaultGateways(), readArpTable())),
    look: () => ({
      relays: rendezvous().homeRelays(),
      candidates: nat().candidates(),
      carries: config().peerRelay.enabled,
      certain: rendezvous().connected,
    }),
    onOwn: () => {
      peers().onOwnRecord()
      dht.changed()
    },
    onLearnt: id => sources.learnt(id),
  })
  sources.add(records.source)
  const dht = startDht({
    stateDir,
    identity,
    clock,
    random,
    log: log.area('dht'),
    records,
    enabled: () => config().dht.enabled,
    bootstrap: () => config().dht.bootstrap,
    resolve: resolveStunHosts,
    network: () => home.current?.secret,
    isMember: id => home.current?.isMember(id) ?? false,
    pinned: () => trust.pinned().map(({ id }) => id),
    isPresent: id => rendezvous().presence(id) === true || sources.isPresent(id),
  })
  sources.add(dht.source)
  return {
    sources,
    records,
    dht,
    knownFrom: id =>
      knownFrom({
        pinned: trust.isPinned(id),
        member: home.current?.isMember(id) ?? false,
        online: rendezvous().presence(id) === true,
        addresses: sources.words(id),
      }),
    async close() {
      await dht.close()
      await records.close()
    },
  }
}

/** Asked for each peer in a row, and it takes reading two files of the kernel. */
function remembered<T>(clock: Clock, look: () => T): () => T {
  let last: { readonly value: T; readonly at: number } | undefined
  return () => {
    const now = clock.now()
    if (!last || now - last.at >= PLACES_MS) last = { value: look(), at: now }
    return last.value
  }
}
