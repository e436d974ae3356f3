import type { PeerId } from '../common/wire/peer-id.ts'

/** Watch entries in all: at some 100 bytes each, what the whole directory may cost in memory. */
const MAX_WATCH_ENTRIES = 500_000

/** Somebody to tell that a peer came or went. */
export interface PresenceNotice<L> {
  readonly to: L
  readonly peer: PeerId
  readonly online: boolean
}

interface Entry<L> {
  line: L
  watched: ReadonlySet<PeerId>
}

/**
 * Who is connected, and who is told of it without asking: presence goes only between peers that watch each other. It is
 * no secret from whoever knows an id and calls: a stranger's call rings too, since the callee decides whom it answers,
 * and a call that fails as `offline` tells the rest. `L` is a line to one peer.
 */
export class Directory<L> {
  readonly #entries = new Map<PeerId, Entry<L>>()
  #watchEntries = 0

  get size(): number {
    return this.#entries.size
  }

  get(peer: PeerId): L | undefined {
    return this.#entries.get(peer)?.line
  }

  *lines(): Iterable<L> {
    for (const entry of this.#entries.values()) yield entry.line
  }

  /**
   * Adds a line, and returns the one that it replaces. What the peer watched stays until it says otherwise, so that a
   * reconnect does not look like going and coming.
   */
  join(peer: PeerId, line: L): L | undefined {
    const entry = this.#entries.get(peer)
    if (!entry) {
      this.#entries.set(peer, { line, watched: new Set() })
      return undefined
    }
    const older = entry.line
    entry.line = line
    return older
  }

  /** Removes the line, if it is still the peer's current one. */
  leave(peer: PeerId, line: L): readonly PresenceNotice<L>[] {
    const entry = this.#entries.get(peer)
    if (!entry || entry.line !== line) return []
    this.#entries.delete(peer)
    this.#watchEntries -= entry.watched.size
    return this.#whoWatchesBack(peer, entry.watched).map(to => ({ to, peer, online: false }))
  }

  /** Replaces what the peer watches. Its own answers come first; beyond the memory limit peers are left out. */
  watch(peer: PeerId, line: L, peers: readonly PeerId[]): readonly PresenceNotice<L>[] {
    const entry = this.#entries.get(peer)
    if (!entry || entry.line !== line) return []
    const before = entry.watched
    const room = Math.max(0, MAX_WATCH_ENTRIES - this.#watchEntries + before.size)
    const after = new Set(peers.filter(other => other !== peer).slice(0, room))
    this.#watchEntries += after.size - before.size
    entry.watched = after
    const notices: PresenceNotice<L>[] = []
    for (const other of after) notices.push({ to: line, peer: other, online: this.#watches(other, peer) })
    for (const to of this.#whoWatchesBack(peer, without(after, before))) notices.push({ to, peer, online: true })
    for (const to of this.#whoWatchesBack(peer, without(before, after))) notices.push({ to, peer, online: false })
    return notices
  }

  /** That a peer has another line is told, too: a call to it that hangs on the old one had better be placed anew. */
  cameAgain(peer: PeerId): readonly PresenceNotice<L>[] {
    const watched = this.#entries.get(peer)?.watched ?? new Set()
    return this.#whoWatchesBack(peer, watched).map(to => ({ to, peer, online: true }))
  }

  watchEachOther(one: PeerId, other: PeerId): boolean {
    return this.#watches(one, other) && this.#watches(other, one)
  }

  #watches(watcher: PeerId, watched: PeerId): boolean {
    return this.#entries.get(watcher)?.watched.has(watched) ?? false
  }

  #whoWatchesBack(peer: PeerId, watched: ReadonlySet<PeerId>): readonly L[] {
    const lines: L[] = []
    for (const other of watched) {
      const entry = this.#entries.get(other)
      if (entry?.watched.has(peer)) lines.push(entry.line)
    }
    return lines
  }
}

function without(all: ReadonlySet<PeerId>, some: ReadonlySet<PeerId>): ReadonlySet<PeerId> {
  return new Set([...all].filter(peer => !some.has(peer)))
}
