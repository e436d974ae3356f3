import { reasonOf } from '../common/errors.ts'
import type { Clock } from '../common/platform/clock.ts'
import { createRateGate, type Log } from '../common/platform/log.ts'
import { type Chain, decodeChain, encodeChain } from '../common/wire/membership.ts'
import type { PeerId } from '../common/wire/peer-id.ts'
import type { Guest } from '../common/wire/relay-message.ts'
import type { LineNetwork } from './rendezvous/line-words.ts'
import type { Rendezvous } from './rendezvous/rendezvous.ts'
import { StatementQueue } from './statement-queue.ts'
import type { HomeNetwork } from './trust/home-network.ts'
import type { Network, NetworkChange } from './trust/network.ts'
import type { Kept } from './trust/register.ts'

/** As many removals of late are told to a relay that comes up: it may have been away when they were made. */
const MAX_TOLD = 16
const TOLD_FOR_S = 7 * 86_400
/** What the root signs anew, of members whom a removed admin let in: a relay takes 32 statements at once. */
const MAX_ANEW = 24
/** One who is out and does not know it tries more than one way, again and again. */
const OUT_APART_MS = 60_000
/** Of what relays said, remembered so that it is not said to them again. */
const MAX_HEARD = 256

export interface RelayVoiceOptions {
  readonly clock: Clock
  readonly home: HomeNetwork
  readonly log: Log
  readonly rendezvous: () => Pick<Rendezvous, 'introduce' | 'announce'>
  readonly guests: () => readonly Guest[]
}

/** A removal that a relay told. */
interface Told {
  readonly entry: Chain['entry']
  readonly key: string
}

/** What this device and its relays tell each other about its network: who it is, whom it expects, and who is out. */
export class RelayVoice implements LineNetwork {
  readonly #options: RelayVoiceOptions
  /** Those that were proven, and changed something. */
  readonly #heard = new Set<string>()
  readonly #queue: StatementQueue<Told>
  readonly #maySayOut: (peer: PeerId) => boolean
  /** The one that is being merged: that may change the network before it is known to be proven. */
  #looksAt: string | undefined
  #shown: string | undefined

  constructor(options: RelayVoiceOptions) {
    this.#options = options
    this.#maySayOut = createRateGate(options.clock, OUT_APART_MS)
    this.#queue = new StatementQueue({ clock: options.clock, take: (told, relay) => this.#take(told, relay) })
  }

  membership(): Uint8Array | undefined {
    const chain = ownChain(this.#options.home.current)
    this.#shown = chain && keyOf(chain)
    return chain
  }

  guests(): readonly Guest[] {
    return this.#options.guests()
  }

  removals(): readonly Uint8Array[] {
    const network = this.#options.home.current
    if (!network) return []
    const since = network.now().s - TOLD_FOR_S
    const late = [...network.roster.statements()].filter(({ entry }) => entry.removed && entry.issuedAt > since)
    return late
      .toSorted((a, b) => b.entry.issuedAt - a.entry.issuedAt)
      .slice(0, MAX_TOLD)
      .flatMap(removal => chainOf(network, removal) ?? [])
  }

  /** Only removals are taken from a relay: names and roles come from members. */
  onStatement(bytes: Uint8Array, relay: PeerId): void {
    const network = this.#options.home.current
    const entry = removalIn(bytes)
    if (!network || entry?.network !== network.id) return
    this.#queue.add({ entry, key: keyOf(bytes) }, relay)
  }

  async #take({ entry, key }: Told, relay: PeerId): Promise<void> {
    const { home, log } = this.#options
    const network = home.current
    if (entry.network !== network?.id) return
    this.#looksAt = key
    try {
      const { taken } = await network.merge([{ entry, details: undefined }], relay)
      if (taken > 0) this.#heard.add(key)
      const [oldest] = this.#heard
      if (this.#heard.size > MAX_HEARD && oldest !== undefined) this.#heard.delete(oldest)
    } catch (thrown) {
      log.error('what a relay told was not taken over', { reason: reasonOf(thrown) })
    } finally {
      this.#looksAt = undefined
    }
  }

  /** Somebody came who is not let in: if it was removed, it may not have heard of that, and hears it by our relays. */
  turnedAway(peer: PeerId): void {
    const network = this.#options.home.current
    const removal = network?.own === 'member' ? network.removalOf(peer) : undefined
    const chain = network && removal && chainOf(network, removal)
    if (chain && this.#maySayOut(peer)) this.#options.rendezvous().announce(chain)
  }

  /** After each change of the network: relays are told who was removed, and who we are now. */
  onChange({ taken, from }: Pick<NetworkChange, 'taken'> & Partial<Pick<NetworkChange, 'from'>>): void {
    const { home, rendezvous } = this.#options
    const network = home.current
    if (!network) return
    for (const statement of taken) {
      const chain = statement.entry.removed ? chainOf(network, statement) : undefined
      const key = chain && keyOf(chain)
      if (chain && key !== undefined && key !== this.#looksAt && !this.#heard.has(key)) rendezvous().announce(chain)
    }
    // Else a relay that heard that an admin is none any more turns away whom he had let in.
    const anew = from === undefined ? taken.filter(({ entry }) => isSaidAnew(entry, taken.length, network.id)) : []
    for (const statement of anew.slice(0, MAX_ANEW)) {
      const chain = chainOf(network, statement)
      if (chain) rendezvous().announce(chain)
    }
    const own = ownChain(network)
    if (own && keyOf(own) !== this.#shown) rendezvous().introduce()
  }
}

/** By the root, of a peer of whom something else was said before. */
function isSaidAnew({ signer, removed, admin, version }: Chain['entry'], taken: number, root: PeerId): boolean {
  return signer === root && !removed && !admin && (version > 1 || taken > 1)
}

function ownChain(network: Network | undefined): Uint8Array | undefined {
  const [signer, own] = network?.ownChain ?? []
  if (!signer) return undefined
  return own ? bytesOf({ entry: own.entry, signer: signer.entry }) : bytesOf({ entry: signer.entry, signer: undefined })
}

/** Undefined where the signer's own entry is not known. */
function chainOf(network: Network, statement: Kept): Uint8Array | undefined {
  const [signer, own] = network.chainOf(statement)
  if (!signer) return undefined
  if (own) return bytesOf({ entry: own.entry, signer: signer.entry })
  return signer.entry.signer === network.id ? bytesOf({ entry: signer.entry, signer: undefined }) : undefined
}

const bytesOf = (chain: Chain) => Uint8Array.from(encodeChain(chain))
const keyOf = (chain: Uint8Array) => Buffer.from(chain).toString('base64')

function removalIn(bytes: Uint8Array): Chain['entry'] | undefined {
  try {
    const { entry } = decodeChain(bytes)
    return entry.removed ? entry : undefined
  } catch {
    // Whatever a relay passes on, its line stays up.
    return undefined
  }
}
