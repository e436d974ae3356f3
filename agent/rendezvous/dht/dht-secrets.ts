import type { KeyPair } from '../../../common/platform/ed25519.ts'
import { pairSecret } from '../../../common/platform/pair-secret.ts'
import type { PeerId } from '../../../common/wire/peer-id.ts'
import { MAX_SECRETS } from './dht-directory.ts'

export interface DhtSecretsOptions {
  readonly identity: KeyPair
  /** Of the network that we are in. */
  readonly network: () => Uint8Array | undefined
  readonly isMember: (peer: PeerId) => boolean
  readonly pinned: () => readonly PeerId[]
}

/** Who can find whom in the DHT: members by the secret of their network, pinned peers by one that only the two know. */
export class DhtSecrets {
  readonly #options: DhtSecretsOptions
  readonly #pairs = new Map<PeerId, Uint8Array | undefined>()

  constructor(options: DhtSecretsOptions) {
    this.#options = options
  }

  /** All under which we tell where we are. */
  own(): readonly Uint8Array[] {
    const { network, isMember, pinned } = this.#options
    const outside = pinned().filter(peer => !isMember(peer))
    const secrets = [network(), ...outside.slice(0, MAX_SECRETS).map(peer => this.#pair(peer))]
    return secrets.filter(secret => secret !== undefined)
  }

  of(peer: PeerId): Uint8Array | undefined {
    return this.#options.isMember(peer) ? this.#options.network() : this.#pair(peer)
  }

  #pair(peer: PeerId): Uint8Array | undefined {
    if (!this.#pairs.has(peer)) {
      const [oldest] = this.#pairs.keys()
      if (this.#pairs.size > 2 * MAX_SECRETS && oldest !== undefined) this.#pairs.delete(oldest)
      this.#pairs.set(peer, pairSecret(this.#options.identity, peer))
    }
    return this.#pairs.get(peer)
  }
}
