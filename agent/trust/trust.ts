import { type PeerId, parsePeerId } from '../../common/wire/peer-id.ts'
import type { PeerOption } from '../config/agent-config.ts'

/** A peer that we trust, as the config names it. */
export interface TrustedPeer {
  readonly id: PeerId
  readonly name: string
  /** Stay connected though nothing flows. */
  readonly keep: boolean
}

/** Ids that an update let in or put out; the sessions of the latter are to be cut. */
export interface TrustChange {
  readonly added: readonly PeerId[]
  readonly removed: readonly PeerId[]
}

/** Who may do what. Nothing else decides that, and nothing here does I/O. */
export interface Trust {
  peers(): readonly TrustedPeer[]
  isTrusted(id: PeerId): boolean
  nameOf(id: PeerId): string | undefined
  /** The id of a trusted peer, given its name or the id itself. */
  idOf(nameOrId: string): PeerId | undefined
  /** Whether a service with this `allow` list is open to a peer. A stranger may use nothing, whatever the list says. */
  mayUse(id: PeerId, allow: readonly string[]): boolean
  update(peers: PinnedPeers): TrustChange
}

export type PinnedPeers = Readonly<Record<string, PeerOption>>

/** Trust in the peers of a config. `own` is never a peer, even when the config says so. */
export function createTrust(peers: PinnedPeers, own: PeerId): Trust {
  let byId = pin(peers, own)
  let byName = new Map([...byId.values()].map(peer => [peer.name, peer]))
  return {
    peers: () => [...byId.values()],
    isTrusted: id => byId.has(id),
    nameOf: id => byId.get(id)?.name,
    idOf(nameOrId) {
      const id = parsePeerId(nameOrId)
      return id === undefined ? byName.get(nameOrId)?.id : byId.get(id)?.id
    },
    mayUse(id, allow) {
      const peer = byId.get(id)
      // Roles belong to members of a network; a pinned peer has none.
      return peer !== undefined && allow.some(entry => entry === '*' || entry === `peer:${peer.name}`)
    },
    update(newPeers) {
      const before = byId
      byId = pin(newPeers, own)
      byName = new Map([...byId.values()].map(peer => [peer.name, peer]))
      return {
        added: [...byId.keys()].filter(id => !before.has(id)),
        removed: [...before.keys()].filter(id => !byId.has(id)),
      }
    },
  }
}

function pin(peers: PinnedPeers, own: PeerId): ReadonlyMap<PeerId, TrustedPeer> {
  const pinned = new Map<PeerId, TrustedPeer>()
  for (const [name, { id, keep }] of Object.entries(peers)) {
    if (id !== own) pinned.set(id, { id, name, keep })
  }
  return pinned
}
