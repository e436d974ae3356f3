import { CulvertError } from '../../common/errors.ts'
import type { Timer } from '../../common/platform/clock.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { MAX_WATCHED_PEERS } from '../../common/wire/relay-message.ts'
import type { Path } from '../path/path.ts'
import type { IncomingCall } from '../rendezvous/rendezvous.ts'
import type { TrustedPeer } from '../trust/trust.ts'
import { Peer } from './peer.ts'
import type { PeerContext } from './peer-context.ts'
import { watchList } from './watch-list.ts'

/** Members that there is something with at a time; each takes memory. Ours: a home has dozens of devices. */
const MAX_PRESENT_MEMBERS = 1024
/** How often members that there is nothing with any more are let go of, and how long they stay at least. */
const SWEEP_MS = 10 * 60_000
/** Several members often come together, and the list of whom to watch goes out as a whole. */
const WATCH_AFTER_MS = 500

/** The members of our network, as far as sessions go: all are peers, most of them never more than a name. */
export interface MemberSource {
  isMember(id: PeerId): boolean
  members(): Iterable<PeerId>
}

const NO_MEMBERS: MemberSource = { isMember: () => false, members: () => [] }

/** Every peer that we trust, and nobody else: the pinned ones, and members as soon as there is something with them. */
export class Peers {
  readonly #context: PeerContext
  readonly #source: MemberSource
  readonly #peers = new Map<PeerId, Peer>()
  #pinned: ReadonlySet<PeerId> = new Set()
  /** To stay connected with: by the config, and besides. */
  #configured: ReadonlySet<PeerId> = new Set()
  #besides: ReadonlySet<PeerId> = new Set()
  #sweep: Timer | undefined
  #watch: Timer | undefined

  constructor(context: PeerContext, source: MemberSource = NO_MEMBERS) {
    this.#context = context
    this.#source = source
  }

  /** Exactly these are pinned now. Sessions of those that are trusted no more end at once. */
  update(pinned: readonly TrustedPeer[]): void {
    const wanted = new Map(pinned.map(peer => [peer.id, peer]))
    for (const id of this.#pinned) {
      const peer = this.#peers.get(id)
      if (peer && !wanted.has(id)) peer.keep = this.#besides.has(id)
    }
    this.#pinned = new Set(wanted.keys())
    this.#configured = new Set(pinned.flatMap(({ id, keep }) => (keep ? [id] : [])))
    this.#cutStrangers()
    for (const id of wanted.keys()) {
      const known = this.#peers.get(id)
      if (known) known.keep = this.#isKept(id)
      else this.#peers.set(id, new Peer(id, this.#isKept(id), this.#context))
    }
    this.#tellWatched()
  }

  /** Stays connected with exactly these besides those of the config. */
  keepUp(ids: ReadonlySet<PeerId>): void {
    const before = this.#besides
    this.#besides = ids
    for (const id of before) {
      const peer = this.#peers.get(id)
      if (peer) peer.keep = this.#isKept(id)
    }
    for (const id of ids) {
      const peer = this.get(id)
      if (peer) peer.keep = true
    }
  }

  /** Members came or went: sessions of who is none any more end at once. */
  onMembers(): void {
    this.#cutStrangers()
    this.#watch ??= this.#context.clock.after(WATCH_AFTER_MS, () => this.#tellWatched())
  }

  /** The peer, if it is trusted; a member becomes one that there is something with. */
  get(id: PeerId): Peer | undefined {
    return this.#peers.get(id) ?? (this.#source.isMember(id) ? this.#present(id) : undefined)
  }

  /** The same, only if it is pinned or there is something with it. */
  peek(id: PeerId): Peer | undefined {
    return this.#peers.get(id)
  }

  /** The pinned peers, and the members that there is something with. */
  list(): readonly Peer[] {
    return [...this.#peers.values()]
  }

  /** A path whose other end proved to be a peer of ours. */
  attach(path: Path): void {
    const peer = this.get(path.peer)
    if (peer) peer.attach(path, false)
    else path.stream.destroy()
  }

  answer(call: IncomingCall): void {
    const peer = this.get(call.from)
    if (peer) void peer.answer(call)
    else call.refuse(this.#source.isMember(call.from) ? 'busy' : 'refused')
  }

  onPresence(id: PeerId, online: boolean): void {
    const peer = this.#peers.get(id)
    if (peer) peer.onPresence(online)
    else this.#context.onChange()
  }

  /** An address of one of them was learnt. */
  onAddress(id: PeerId): void {
    this.#peers.get(id)?.onAddress()
  }

  onRelay(): void {
    for (const peer of this.#peers.values()) peer.onRelay()
  }

  onOwnRecord(): void {
    for (const peer of this.#peers.values()) peer.onOwnRecord()
  }

  /** Paths may have gone without a word. */
  check(): void {
    for (const peer of this.#peers.values()) peer.check()
  }

  /** Asks paths that were silent for a while whether they live; resolves when that is known, or after `limitMs`. */
  async look(limitMs: number, signal: AbortSignal): Promise<void> {
    await Promise.allSettled([...this.#peers.values()].map(peer => peer.look(limitMs, signal)))
  }

  onNetworkChange(): void {
    for (const peer of this.#peers.values()) peer.onNetworkChange()
  }

  close(): void {
    for (const timer of [this.#sweep, this.#watch]) timer?.cancel()
    for (const peer of this.#peers.values()) peer.close(new CulvertError('session-closed', 'the agent stops'))
    this.#peers.clear()
  }

  #isKept(id: PeerId): boolean {
    return this.#configured.has(id) || this.#besides.has(id)
  }

  #cutStrangers(): void {
    for (const [id, peer] of this.#peers) {
      if (this.#pinned.has(id) || this.#source.isMember(id)) continue
      this.#peers.delete(id)
      peer.close(new CulvertError('not-authorized', 'the peer was removed'))
    }
  }

  #present(id: PeerId): Peer | undefined {
    if (this.#peers.size - this.#pinned.size >= MAX_PRESENT_MEMBERS) this.#letGo(0)
    if (this.#peers.size - this.#pinned.size >= MAX_PRESENT_MEMBERS) return undefined
    const peer = new Peer(id, false, this.#context)
    this.#peers.set(id, peer)
    this.#sweep ??= this.#context.clock.every(SWEEP_MS, () => this.#letGo(SWEEP_MS))
    return peer
  }

  #letGo(idleMs: number): void {
    for (const [id, peer] of this.#peers) {
      if (this.#pinned.has(id) || peer.idleMs === undefined || peer.idleMs < idleMs) continue
      this.#peers.delete(id)
      peer.close(new CulvertError('session-closed', 'there is nothing with the peer'))
    }
    if (this.#peers.size > this.#pinned.size) return
    this.#sweep?.cancel()
    this.#sweep = undefined
  }

  #tellWatched(): void {
    this.#watch?.cancel()
    this.#watch = undefined
    const members = [...this.#source.members()]
    this.#context
      .rendezvous()
      .watch(watchList([...this.#peers.keys()], members, this.#context.ownId, MAX_WATCHED_PEERS))
  }
}
