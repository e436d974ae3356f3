import { CulvertError } from '../../common/errors.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import type { Path } from '../path/path.ts'
import type { IncomingCall } from '../rendezvous/rendezvous.ts'
import type { TrustedPeer } from '../trust/trust.ts'
import { Peer } from './peer.ts'
import type { PeerContext } from './peer-context.ts'

/** Every peer that we trust, and nobody else. */
export class Peers {
  readonly #context: PeerContext
  readonly #peers = new Map<PeerId, Peer>()

  constructor(context: PeerContext) {
    this.#context = context
  }

  /** Adds, changes and removes peers so that exactly these are known. Sessions of removed ones end at once. */
  update(trusted: readonly TrustedPeer[]): void {
    const wanted = new Map(trusted.map(peer => [peer.id, peer]))
    for (const [id, peer] of this.#peers) {
      if (wanted.has(id)) continue
      this.#peers.delete(id)
      peer.close(new CulvertError('not-authorized', 'the peer was removed'))
    }
    for (const { id, keep } of wanted.values()) {
      const known = this.#peers.get(id)
      if (known) known.keep = keep
      else this.#peers.set(id, new Peer(id, keep, this.#context))
    }
    this.#context.rendezvous().watch([...this.#peers.keys()])
  }

  get(id: PeerId): Peer | undefined {
    return this.#peers.get(id)
  }

  list(): readonly Peer[] {
    return [...this.#peers.values()]
  }

  /** A path whose other end proved to be a peer of ours. */
  attach(path: Path): void {
    const peer = this.#peers.get(path.peer)
    if (peer) peer.attach(path, false)
    else path.stream.destroy()
  }

  answer(call: IncomingCall): void {
    const peer = this.#peers.get(call.from)
    if (peer) void peer.answer(call)
    else call.refuse('refused')
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
    for (const peer of this.#peers.values()) peer.close(new CulvertError('session-closed', 'the agent stops'))
    this.#peers.clear()
  }
}
