import { CulvertError } from '../common/errors.ts'
import type { Clock, Timer } from '../common/platform/clock.ts'
import { createRateGate, type Log } from '../common/platform/log.ts'
import { type PeerId, shortPeerId } from '../common/wire/peer-id.ts'
import type { RemoveReply } from './control/control-target.ts'
import type { NetworkStatus } from './control/status.ts'
import { ROSTER_SET, rosterItem } from './service/roster-set.ts'
import type { Sync } from './service/sync.ts'
import type { Peers } from './session/peers.ts'
import type { HomeNetwork } from './trust/home-network.ts'
import type { Member, NetworkChange, OwnStanding } from './trust/network.ts'
import type { DevicesOfAdmin } from './trust/signing.ts'
import type { Trust } from './trust/trust.ts'

/** A clock that is set, or set back, is noticed by then. */
const LOOK_MS = 3_600_000

const OUT_WORDS: Readonly<Record<Exclude<OwnStanding, 'member'>, string>> = {
  removed: 'this device was removed from its network: its members do not take it any more, nor it them',
  expired: 'the membership of this device in its network is over; an admin can renew it',
  unknown: 'the roster of the network is lost, so this device knows none of its members; join again with a new code',
}

export interface NetworkDeskOptions {
  readonly ownId: PeerId
  readonly clock: Clock
  readonly log: Log
  readonly trust: Trust
  readonly peers: Peers
  readonly home: HomeNetwork
  readonly sync: Sync
  readonly onChange: () => void
}

/** What a change of the network means at once: whose sessions end, what others are told, and what the owner is told. */
export class NetworkDesk {
  readonly #options: NetworkDeskOptions
  readonly #mayLog: (key: string) => boolean
  #own: OwnStanding | undefined
  #end: Timer | undefined

  constructor(options: NetworkDeskOptions) {
    this.#options = options
    this.#mayLog = createRateGate(options.clock, 60_000)
    this.#look()
  }

  onChange(change: NetworkChange): void {
    const { trust, peers, home, onChange } = this.#options
    trust.membersChanged()
    this.#look()
    const removed = [...change.touched].filter(id => home.current?.wasRemoved(id) && !trust.isTrusted(id))
    for (const id of removed) this.#log(id, change.from)
    void this.#tell(change, removed).then(() => peers.onMembers())
    onChange()
  }

  /** Tells all, and who is removed first: what it hears from a member it can believe, and then it hears nothing more. */
  async #tell({ taken, from }: NetworkChange, removed: readonly PeerId[]): Promise<void> {
    const { home, sync } = this.#options
    const network = home.current
    if (network?.own !== 'member' || taken.length === 0) return
    const items = [...new Set(taken.flatMap(kept => network.chainOf(kept)))].map(rosterItem)
    await Promise.all(removed.filter(id => id !== from).map(id => sync.tellLast(id, ROSTER_SET, items)))
    const urgent = taken.some(({ entry }) => entry.removed)
    sync.tell({ set: ROSTER_SET, items, from, urgent, spread: true })
  }

  /** Signs that a peer is removed; resolves when its session here is cut and that is on the disk. */
  async remove(nameOrId: string, devices: DevicesOfAdmin): Promise<RemoveReply> {
    const { trust, home, ownId } = this.#options
    const network = home.current
    if (!network) throw new CulvertError('not-authorized', 'this device is in no network; "culvert init" makes one')
    const id = trust.idOf(nameOrId)
    if (id === undefined) {
      const ourselves = [...network.members(true)].find(member => member.id === ownId)
      if (nameOrId !== ownId && nameOrId !== ourselves?.name)
        throw new CulvertError('peer-unknown', `no member of the network is called "${nameOrId}"`)
      const remedy =
        'to leave the network, stop the agent, move "network" in its stateDir away, and have an admin remove it'
      throw new CulvertError('usage', `${nameOrId} is this device itself; ${remedy}`)
    }
    const name = trust.nameOf(id) ?? id
    if (!network.isMember(id)) {
      const remedy = `take it out of "peers" in the config`
      throw new CulvertError(
        'peer-unknown',
        `${name} is no member of the network but is named by the config; ${remedy}`,
      )
    }
    const takenIn = network.takenInBy(id).map(peer => ({ id: peer, name: trust.nameOf(peer) ?? peer }))
    network.remove(id, devices)
    await home.save()
    const isIn = ({ id: peer }: { readonly id: PeerId }) => peer === ownId || network.isMember(peer)
    return { id, name, stay: takenIn.filter(isIn), gone: takenIn.filter(peer => !isIn(peer)) }
  }

  member(id: PeerId): Member | undefined {
    return this.#options.home.current?.member(id)
  }

  /** The first so many members that are not listed otherwise. */
  otherMembers(isListed: (id: PeerId) => boolean, limit: number): readonly PeerId[] {
    const others: PeerId[] = []
    for (const id of this.#options.home.current?.memberIds() ?? []) {
      if (others.length >= limit) break
      if (!isListed(id)) others.push(id)
    }
    return others
  }

  status(): NetworkStatus | null {
    const { home } = this.#options
    const network = home.current
    if (!network) return null
    const { own } = network
    const problem = own === 'member' ? (network.damage ?? home.problem ?? null) : OUT_WORDS[own]
    const members = network.count
    return { id: network.id, standing: own, members, admin: network.isAdmin, root: network.isRoot, problem }
  }

  close(): void {
    this.#end?.cancel()
  }

  /** What we are ourselves may have changed, and when the next membership ends. */
  #look(): void {
    const { home, clock, log } = this.#options
    const network = home.current
    if (!network) return
    this.#options.sync.start()
    const { own } = network
    if (own !== this.#own && own !== 'member') log.error(OUT_WORDS[own], { network: shortPeerId(network.id) })
    if (own === 'member' && this.#own !== undefined && this.#own !== 'member') log.info('a member of the network again')
    this.#own = own
    const next = network.nextEnd()
    this.#end?.cancel()
    this.#end = undefined
    if (next === undefined) return
    const dueMs = (next - network.now().s + 1) * 1000
    this.#end = clock.after(Math.min(Math.max(dueMs, 1000), LOOK_MS), () => {
      this.onChange({ taken: [], touched: new Set(), from: undefined })
    })
  }

  #log(removed: PeerId, from: PeerId | undefined): void {
    const { log, trust } = this.#options
    if (!this.#mayLog(removed)) return
    const by = from === undefined ? {} : { heardFrom: trust.nameOf(from) ?? shortPeerId(from) }
    log.info('a member was removed', { peer: shortPeerId(removed), ...by })
  }
}
