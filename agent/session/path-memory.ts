import type { Endpoint } from '../../common/wire/endpoint.ts'
import { sameEndpoint } from '../../common/wire/endpoint.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import type { PathHow, PathTransport } from '../path/path.ts'
import type { AddressSource } from '../rendezvous/address-source.ts'

/** What one peer taught us in one network; what is absent is not known. */
export interface Remembered {
  /** The best way there was; `none`: no way worked, or none while user bytes waited for it. */
  readonly way?: RememberedWay | 'none'
  /** The search that got through a hard NAT; `none`: every search was tried, and none did. */
  readonly hard?: string
  /** What was faster for a long stream, as measured. */
  readonly bulk?: Extract<PathTransport, 'tcp' | 'udx'>
}

export type RememberedWay = `${Exclude<PathTransport, 'pipe'>}/${Exclude<PathHow, 'relay'>}`

/** Where a connection to a peer got through. */
export interface RememberedAddress {
  readonly how: Extract<PathHow, 'lan' | 'public' | 'ipv6' | 'mapped'>
  readonly endpoint: Endpoint
}

/** One line of what is remembered: of one peer, in one network of ours. */
export interface MemoryEntry extends Remembered {
  readonly peer: PeerId
  readonly network: string
  /** Newest first. */
  readonly addresses: readonly RememberedAddress[]
}

/** Some hundred bytes each. The one that was not touched for the longest is dropped. */
export const MAX_MEMORIES = 128
export const MAX_ADDRESSES = 3
/** A search has a short name, whoever wrote the file. */
export const MAX_HARD_LENGTH = 64

/**
 * What each peer taught us in each network that we were in: which way worked, so that the next session begins with it, or
 * that none does, so that user bytes do not wait in vain.
 */
export class PathMemory {
  readonly #network: () => string | undefined
  readonly #onChange: () => void
  /** The one touched last is last. */
  readonly #entries = new Map<string, MemoryEntry>()

  /** `network` names the network that we are in, as far as that is known. */
  constructor(network: () => string | undefined, entries: readonly MemoryEntry[], onChange: () => void) {
    this.#network = network
    this.#onChange = onChange
    for (const entry of entries.slice(-MAX_MEMORIES)) this.#entries.set(keyOf(entry.peer, entry.network), entry)
  }

  get entries(): readonly MemoryEntry[] {
    return [...this.#entries.values()]
  }

  /** What this peer taught us in the network that we are in now. */
  recall(peer: PeerId): Remembered {
    const network = this.#network()
    return (network === undefined ? undefined : this.#entries.get(keyOf(peer, network))) ?? {}
  }

  learn(peer: PeerId, learnt: Remembered): void {
    this.#change(peer, entry => ({ ...entry, ...learnt }))
  }

  learnAddress(peer: PeerId, address: RememberedAddress): void {
    // A link-local address means nothing without its interface, whose name may be another one at the next start.
    if (address.endpoint.address.includes('%')) return
    this.#change(peer, entry => {
      const others = entry.addresses.filter(({ endpoint }) => !sameEndpoint(endpoint, address.endpoint))
      return { ...entry, addresses: [address, ...others].slice(0, MAX_ADDRESSES) }
    })
  }

  /** Where connections to this peer got through: from here first, then from elsewhere, each the newest first. */
  addresses(peer: PeerId): readonly RememberedAddress[] {
    const network = this.#network()
    const known = this.entries.filter(entry => entry.peer === peer).toReversed()
    const here = known.filter(entry => entry.network === network)
    const found: RememberedAddress[] = []
    for (const address of [...here, ...known].flatMap(entry => entry.addresses)) {
      if (!found.some(({ endpoint }) => sameEndpoint(endpoint, address.endpoint))) found.push(address)
    }
    return found.slice(0, MAX_ADDRESSES)
  }

  #change(peer: PeerId, change: (entry: MemoryEntry) => MemoryEntry): void {
    const network = this.#network()
    if (network === undefined) return
    const key = keyOf(peer, network)
    const before = this.#entries.get(key)
    const after = change(before ?? { peer, network, addresses: [] })
    this.#entries.delete(key)
    this.#entries.set(key, after)
    const [oldest] = this.#entries.keys()
    if (this.#entries.size > MAX_MEMORIES && oldest !== undefined) this.#entries.delete(oldest)
    if (JSON.stringify(before) !== JSON.stringify(after)) this.#onChange()
  }
}

/** Where peers were reached before, as a source of addresses. */
export function rememberedAddresses(memory: PathMemory): AddressSource {
  return {
    name: 'memory',
    addresses: peer => memory.addresses(peer).map(address => ({ ...address, source: 'memory' })),
  }
}

function keyOf(peer: PeerId, network: string): string {
  return `${peer} ${network}`
}
