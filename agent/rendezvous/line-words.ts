import type { PeerId } from '../../common/wire/peer-id.ts'
import {
  type AgentMessage,
  type Guest,
  MAX_GUESTS,
  MAX_WATCHED_PEERS,
  NETWORK_FEATURE,
} from '../../common/wire/relay-message.ts'

/** What lines say and hear for the network of this device, which it may have or not. */
export interface LineNetwork {
  /** The chain of the own membership. */
  membership(): Uint8Array | undefined
  /** Whom this device has invited. */
  guests(): readonly Guest[]
  /** Late removals, as chains: a relay may have been away when they were told. */
  removals(): readonly Uint8Array[]
  /** What a relay passes on, as a chain; nothing in it is proven. */
  onStatement(chain: Uint8Array, relay: PeerId): void
}

/** What a relay is told after each welcome, and whenever it changes. */
export class LineWords {
  readonly #network: LineNetwork | undefined
  readonly #send: (message: AgentMessage) => void
  #watched: ReadonlySet<PeerId> = new Set()
  #hasGuests = false
  /** The relay that is there now takes what is said for a network. */
  #takesNetworks = false

  constructor(network: LineNetwork | undefined, send: (message: AgentMessage) => void) {
    this.#network = network
    this.#send = send
  }

  watches(peer: PeerId): boolean {
    return this.#watched.has(peer)
  }

  /** More than the protocol carries are not watched; they can be called all the same. */
  watch(peers: readonly PeerId[]): void {
    this.#watched = new Set(peers.slice(0, MAX_WATCHED_PEERS))
    this.#send({ type: 'watch', peers: [...this.#watched] })
  }

  welcomed(features: readonly string[]): void {
    this.#takesNetworks = this.#network !== undefined && features.includes(NETWORK_FEATURE)
    this.#hasGuests = false
    if (this.#watched.size > 0) this.#send({ type: 'watch', peers: [...this.#watched] })
    this.tellGuests()
    if (this.#network?.membership()) for (const chain of this.#network.removals()) this.announce(chain)
  }

  lost(): void {
    this.#takesNetworks = false
  }

  /** They have changed. Those that end last are not told when there are too many. */
  tellGuests(): void {
    if (!this.#takesNetworks || !this.#network) return
    const guests = this.#network.guests().toSorted((a, b) => a.notAfter - b.notAfter)
    if (guests.length > 0 || this.#hasGuests) this.#send({ type: 'guests', guests: guests.slice(0, MAX_GUESTS) })
    this.#hasGuests = guests.length > 0
  }

  /** Has the relay pass an entry on. */
  announce(chain: Uint8Array): void {
    if (this.#takesNetworks) this.#send({ type: 'statement', chain })
  }
}
