import type { Clock } from '../../../common/platform/clock.ts'
import type { KeyPair } from '../../../common/platform/ed25519.ts'
import type { Log } from '../../../common/platform/log.ts'
import type { Random } from '../../../common/platform/random.ts'
import type { PeerId } from '../../../common/wire/peer-id.ts'
import type { AddressRecords } from '../address-records.ts'
import { DhtDirectory } from './dht-directory.ts'
import { DhtNodes, type DhtNodesOptions } from './dht-nodes.ts'
import { DhtSecrets, type DhtSecretsOptions } from './dht-secrets.ts'

export interface DhtOptions extends DhtNodesOptions, Omit<DhtSecretsOptions, 'identity'> {
  readonly identity: KeyPair
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly records: AddressRecords
  readonly enabled: () => boolean
  readonly isPresent: (peer: PeerId) => boolean
}

/** The part of an agent that deals with the DHT. Until that is enabled, nothing of it is loaded or runs. */
export function startDht(options: DhtOptions): DhtDirectory {
  const { clock, random, log, identity, records, enabled, isPresent } = options
  const nodes = new DhtNodes(options)
  const secrets = new DhtSecrets(options)
  return new DhtDirectory({
    clock,
    random,
    log,
    ownId: identity.id,
    enabled,
    ownRecord: () => records.own.bytes,
    secrets: () => secrets.own(),
    secretOf: peer => secrets.of(peer),
    isPresent,
    take: bytes => records.take(bytes, 'dht'),
    run: (work, signal) => nodes.run(work, signal),
  })
}
