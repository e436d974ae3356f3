import { type Endpoint, sameEndpoint } from '../../common/wire/endpoint.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'

/** Who told an address: `memory` is a connection of ours that got through. */
export type SourceName = 'memory' | 'lan' | 'record' | 'dht'

/** A TCP address at which a peer may take a first path, with no help of a relay. */
export interface KnownAddress {
  readonly source: SourceName
  readonly how: 'lan' | 'public' | 'ipv6' | 'mapped'
  readonly endpoint: Endpoint
  /** Since its source vouched for it; absent where that is not known. */
  readonly ageMs?: number
}

/** One way to learn addresses of peers. What it tells of a peer it must have from the peer itself, by proof or by a tag. */
export interface AddressSource {
  readonly name: SourceName
  /** Best first. Asked at each call of a peer, so it costs no I/O. */
  addresses(peer: PeerId): readonly KnownAddress[]
  /** The same in short, for who does not dial: whose words those are, and how old. */
  words?(peer: PeerId): readonly Pick<KnownAddress, 'source' | 'ageMs'>[]
  /** The peer shows itself there now, so its addresses are worth a dial at every call. */
  isPresent?(peer: PeerId): boolean
  /**
   * Looks for a peer that somebody wants; resolves when nothing more is to be expected, which should take a second or two
   * at most. Called at every call of a peer, so a source bounds by itself how often it really looks.
   */
  seek?(peer: PeerId, signal: AbortSignal): Promise<void>
  /** A dial there did not lead to the peer. */
  failed?(peer: PeerId, endpoint: Endpoint): void
}

/** Dials of one call; a source tells few addresses of each peer. */
export const MAX_KNOWN_ADDRESSES = 12

/** Every address source of an agent together. */
export class AddressSources {
  readonly #sources: AddressSource[] = []
  readonly #listeners = new Set<(peer: PeerId) => void>()

  add(source: AddressSource): void {
    this.#sources.push(source)
  }

  /** An address of a peer came up, or came up again: whoever wants the peer tries at once. */
  learnt(peer: PeerId): void {
    for (const listener of this.#listeners) listener(peer)
  }

  onLearnt(listener: (peer: PeerId) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  isPresent(peer: PeerId): boolean {
    return this.#sources.some(source => source.isPresent?.(peer))
  }

  /** Which sources know the peer, and since when. */
  words(peer: PeerId): readonly Pick<KnownAddress, 'source' | 'ageMs'>[] {
    return this.#sources.flatMap(source => source.words?.(peer) ?? source.addresses(peer))
  }

  /** Each address once, those of sources where the peer shows itself first; `present`: only those. */
  addresses(peer: PeerId, which: 'all' | 'present' = 'all'): readonly KnownAddress[] {
    const present = this.#sources.filter(source => source.isPresent?.(peer))
    const others = which === 'all' ? this.#sources.filter(source => !present.includes(source)) : []
    const found: KnownAddress[] = []
    for (const address of [...present, ...others].flatMap(source => source.addresses(peer))) {
      if (!found.some(({ endpoint }) => sameEndpoint(endpoint, address.endpoint))) found.push(address)
    }
    return found.slice(0, MAX_KNOWN_ADDRESSES)
  }

  /** Resolves with the first address that comes up, or when no source expects any more. Never rejects. */
  seek(peer: PeerId, signal: AbortSignal): Promise<void> {
    const seeking = this.#sources.flatMap(source => (source.seek ? [source.seek(peer, signal)] : []))
    if (seeking.length === 0) return Promise.resolve()
    return new Promise(resolve => {
      const settle = () => {
        stopListening()
        signal.removeEventListener('abort', settle)
        resolve()
      }
      const stopListening = this.onLearnt(learnt => {
        if (learnt === peer) settle()
      })
      signal.addEventListener('abort', settle, { once: true })
      void Promise.allSettled(seeking).then(settle)
    })
  }

  failed(peer: PeerId, endpoint: Endpoint): void {
    for (const source of this.#sources) source.failed?.(peer, endpoint)
  }
}
