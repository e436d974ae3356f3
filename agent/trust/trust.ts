import { ADMIN_ROLE } from '../../common/wire/member-details.ts'
import { type PeerId, parsePeerId } from '../../common/wire/peer-id.ts'
import type { PeerOption } from '../config/agent-config.ts'
import { memberNames } from './member-names.ts'
import type { Member } from './network.ts'

/** A peer that we trust: as the config names it, or as our network does. */
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

/** The network of this device, as far as trust goes. */
export interface Members {
  member(id: PeerId): Member | undefined
  members(): Iterable<Member>
}

/** Who may do what. Nothing else decides that, and nothing here does I/O. */
export interface Trust {
  /** Those of the config. */
  pinned(): readonly TrustedPeer[]
  /** All: those of the config, then the members of our network. */
  peers(): readonly TrustedPeer[]
  isTrusted(id: PeerId): boolean
  isPinned(id: PeerId): boolean
  nameOf(id: PeerId): string | undefined
  /** The id of a trusted peer, given its name or the id itself. */
  idOf(nameOrId: string): PeerId | undefined
  /** Whether a service with this `allow` list is open to a peer. A stranger may use nothing, whatever the list says. */
  mayUse(id: PeerId, allow: readonly string[]): boolean
  update(peers: PinnedPeers): TrustChange
  /** The network is another one, or somebody came, went or got another name. */
  membersChanged(): void
}

export type PinnedPeers = Readonly<Record<string, PeerOption>>

/** Trust in the peers of a config, and in the members of our network. `own` is never a peer, even when the config says so. */
export function createTrust(
  peers: PinnedPeers,
  own: PeerId,
  network: () => Members | undefined = () => undefined,
): Trust {
  let byId = pin(peers, own)
  let names: Names | undefined
  const memberOf = (id: PeerId) => (id === own ? undefined : network()?.member(id))
  const isTrusted = (id: PeerId) => byId.has(id) || memberOf(id) !== undefined
  const known = () => {
    names ??= namesOf(byId, network()?.members() ?? [])
    return names
  }
  const nameOf = (id: PeerId) => byId.get(id)?.name ?? (memberOf(id) && known().ofMembers.get(id))
  return {
    pinned: () => [...byId.values()],
    peers() {
      const members = [...known().ofMembers].filter(([id]) => memberOf(id) !== undefined)
      return [...byId.values(), ...members.map(([id, name]) => ({ id, name, keep: false }))]
    },
    isTrusted,
    isPinned: id => byId.has(id),
    nameOf,
    idOf(nameOrId) {
      const id = parsePeerId(nameOrId) ?? known().ids.get(nameOrId)
      return id !== undefined && isTrusted(id) ? id : undefined
    },
    mayUse(id, allow) {
      if (!isTrusted(id)) return false
      const member = memberOf(id)
      const roles = new Set(member?.roles)
      // That role is a right, and nobody has it by its name.
      roles.delete(ADMIN_ROLE)
      if (member?.admin) roles.add(ADMIN_ROLE)
      return allow.some(
        entry =>
          entry === '*' || entry === `peer:${nameOf(id)}` || (entry.startsWith('role:') && roles.has(entry.slice(5))),
      )
    },
    update(newPeers) {
      const before = byId
      byId = pin(newPeers, own)
      names = undefined
      return {
        added: [...byId.keys()].filter(id => !before.has(id)),
        removed: [...before.keys()].filter(id => !isTrusted(id)),
      }
    },
    membersChanged() {
      names = undefined
    },
  }
}

interface Names {
  readonly ofMembers: ReadonlyMap<PeerId, string>
  readonly ids: ReadonlyMap<string, PeerId>
}

/** A member that is pinned, too, goes by the name in the config. */
function namesOf(pinned: ReadonlyMap<PeerId, TrustedPeer>, members: Iterable<Member>): Names {
  const own = [...pinned.values()]
  const others = [...members].filter(({ id }) => !pinned.has(id))
  const ofMembers = memberNames(others, new Set(own.map(({ name }) => name)))
  const ids = new Map([...ofMembers].map(([id, name]) => [name, id]))
  for (const { id, name } of own) ids.set(name, id)
  return { ofMembers, ids }
}

function pin(peers: PinnedPeers, own: PeerId): ReadonlyMap<PeerId, TrustedPeer> {
  const pinned = new Map<PeerId, TrustedPeer>()
  for (const [name, { id, keep }] of Object.entries(peers)) {
    if (id !== own) pinned.set(id, { id, name, keep })
  }
  return pinned
}
