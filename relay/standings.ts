import { type Chain, isByRoot } from '../common/wire/membership.ts'
import type { PeerId } from '../common/wire/peer-id.ts'

/** Entries that a relay remembers of one network, and of all. */
const MAX_PER_NETWORK = 1_024
const MAX_IN_ALL = 16_384

/** Of one peer: the root's last removal, the last that the root signed otherwise, and the last removal by each admin. */
type Slot = 'removed' | 'signed' | PeerId
type Told = Map<Slot, Chain>

interface Network {
  /** Those told of last at the end. */
  readonly peers: Map<PeerId, Told>
  size: number
}

export type Fault = 'removed' | 'signer-removed'

/**
 * What networks told a relay about who is out of them, and what follows from it: PROTOCOL.md §9.3, as far as it is about
 * removals. All chains are proven before they come here.
 */
export class Standings {
  readonly #networks = new Map<PeerId, Network>()
  #size = 0

  /** Why a membership does not count any more; undefined while it does. */
  faultOf(chain: Chain): Fault | undefined {
    const { entry } = chain
    const network = this.#networks.get(entry.network)
    if (!network) return undefined
    if (!counts(network, chain)) return 'signer-removed'
    const told = network.peers.get(entry.peer)
    const removedIn = told ? lastRemovalIn(network, told, entry.admin) : 0
    if (removedIn === 0) return undefined
    const back = isByRoot(entry) || (told?.get('signed')?.entry.version ?? 0) > removedIn
    return back && entry.version > removedIn ? undefined : 'removed'
  }

  /** It is known to be out of a network, of which it brings no membership any more. */
  wasRemoved(peer: PeerId): boolean {
    for (const network of this.#networks.values()) {
      const told = network.peers.get(peer)
      if (told && lastRemovalIn(network, told, false) > (told.get('signed')?.entry.version ?? 0)) return true
    }
    return false
  }

  /** Takes over what is told; false when it says nothing new that is kept. */
  take(chain: Chain): boolean {
    const { entry } = chain
    const slot = slotOf(chain)
    if (slot === undefined) return false
    const network: Network = this.#networks.get(entry.network) ?? { peers: new Map(), size: 0 }
    const told: Told = network.peers.get(entry.peer) ?? new Map()
    if (!counts(network, chain) || isOlder(chain, told.get('removed')) || isOlder(chain, told.get(slot))) return false
    const before = network.size
    if (!told.has(slot)) network.size++
    told.set(slot, chain)
    network.peers.delete(entry.peer)
    network.peers.set(entry.peer, told)
    this.#networks.set(entry.network, network)
    if (isByRoot(entry)) {
      // With an admin goes what he signed, and with a peer what was signed of it before.
      const isOver = (other: Chain) => !counts(network, other) || (entry.removed && isSignedBefore(other, entry))
      forget(network, isOver)
    }
    if (network.size > MAX_PER_NETWORK) forgetOne(network)
    this.#size += network.size - before
    if (this.#size > MAX_IN_ALL) this.#forgetOfLargest()
    return told.get(slot) === chain
  }

  /** A member shows this: it is taken if its peer was removed before, which the root has then taken back. */
  show(chain: Chain): boolean {
    return this.#networks.get(chain.entry.network)?.peers.has(chain.entry.peer) === true && this.take(chain)
  }

  /** The last entry of this peer by the root that does not remove. */
  signedAnew(network: PeerId, peer: PeerId): Chain | undefined {
    return this.#networks.get(network)?.peers.get(peer)?.get('signed')
  }

  /** The removals of a network that were told last, oldest first. */
  lastRemovals(network: PeerId, count: number): readonly Chain[] {
    const all = [...(this.#networks.get(network)?.peers.values() ?? [])].flatMap(told => [...told.values()])
    return all.filter(({ entry }) => entry.removed).slice(-count)
  }

  /** Forgets all but these networks. */
  keepOnly(admitted: (network: PeerId) => boolean): void {
    for (const [id, { size }] of this.#networks) {
      if (admitted(id)) continue
      this.#networks.delete(id)
      this.#size -= size
    }
  }

  /** Everything, in an order in which it can be taken again. */
  *chains(): IterableIterator<Chain> {
    for (const { peers } of this.#networks.values()) for (const told of peers.values()) yield* told.values()
  }

  get size(): number {
    return this.#size
  }

  /** A network that tells much must not keep out what one tells that has told little. */
  #forgetOfLargest(): void {
    let largest: Network | undefined
    for (const network of this.#networks.values()) if (network.size > (largest?.size ?? 0)) largest = network
    if (!largest) return
    const before = largest.size
    forgetOne(largest)
    this.#size += largest.size - before
  }
}

function slotOf(chain: Chain): Slot | undefined {
  if (isByRoot(chain.entry)) return chain.entry.removed ? 'removed' : 'signed'
  return chain.entry.removed ? chain.entry.signer : undefined
}

/** Nothing is new in a removal below one by the root, nor in an entry of a slot below what stands there. */
function isOlder({ entry }: Chain, before: Chain | undefined): boolean {
  if (!before) return false
  if (entry.signer !== before.entry.signer || entry.grant === before.entry.grant || isByRoot(entry)) {
    return entry.version <= before.entry.version
  }
  return entry.grant < before.entry.grant
}

function isSignedBefore({ entry }: Chain, removal: Chain['entry']): boolean {
  return entry.peer === removal.peer && !entry.removed && entry.version <= removal.version
}

/** False once the root has ended the right by which it was signed. */
function counts(network: Network, { signer }: Chain): boolean {
  return signer === undefined || endedGrant(network.peers.get(signer.peer)) < signer.grant
}

/** A root's entry that removes, or makes no admin, ends all grants up to its version. */
function endedGrant(told: Told | undefined): number {
  const signed = told?.get('signed')?.entry
  return Math.max(told?.get('removed')?.entry.version ?? 0, signed && !signed.admin ? signed.version : 0)
}

/** Of an admin only the root's entries count. 0 where there is none. */
function lastRemovalIn(network: Network, told: Told, admin: boolean): number {
  let last = 0
  for (const [slot, chain] of told) {
    if (slot === 'signed' || (admin && slot !== 'removed') || !counts(network, chain)) continue
    last = Math.max(last, chain.entry.version)
  }
  return last
}

/**
 * The oldest of the admin who has told most: who may only sign removals must wipe out neither those of the root nor those of
 * another admin. The root's oldest where there is nothing else.
 */
function forgetOne(network: Network): void {
  const bySigner = new Map<PeerId, { readonly oldest: Chain; count: number }>()
  let first: Chain | undefined
  for (const told of network.peers.values()) {
    for (const chain of told.values()) {
      first ??= chain
      if (isByRoot(chain.entry)) continue
      const { signer } = chain.entry
      const known = bySigner.get(signer)
      if (known) known.count++
      else bySigner.set(signer, { oldest: chain, count: 1 })
    }
  }
  const [most] = [...bySigner.values()].toSorted((a, b) => b.count - a.count)
  const gone = most?.oldest ?? first
  forget(network, other => other === gone)
}

function forget(network: Network, which: (chain: Chain) => boolean): void {
  for (const [peer, told] of network.peers) {
    for (const [slot, chain] of told) if (which(chain) && told.delete(slot)) network.size--
    if (told.size === 0) network.peers.delete(peer)
  }
}
