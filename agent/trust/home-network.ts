import { CulvertError } from '../../common/errors.ts'
import type { Clock } from '../../common/platform/clock.ts'
import type { Log } from '../../common/platform/log.ts'
import type { Random } from '../../common/platform/random.ts'
import type { Statement } from '../../common/wire/member-statement.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { Network, type NetworkChange } from './network.ts'
import type { NetworkKeys } from './network-file.ts'
import {
  forgetNetwork,
  keepNewNetwork,
  loadOrCreateRootKey,
  type NetworkPlace,
  RosterKeeper,
  readNetwork,
  type StoredNetwork,
  tidyNetwork,
} from './network-store.ts'
import { prove } from './prove.ts'
import { Roster } from './roster.ts'
import { foundingStatement } from './signing.ts'

const SECRET_BYTES = 32

interface Context {
  readonly clock: Clock
  readonly random: Random
}

/** Makes a network of this device alone, which holds its root key. Rejects with `usage` when the device has one. */
export async function foundNetwork(
  place: NetworkPlace,
  name: string,
  { clock, random }: Context,
): Promise<NetworkKeys> {
  const root = await loadOrCreateRootKey(place.stateDir)
  const keys = { network: root.id, secret: random.bytes(SECRET_BYTES) }
  const now = () => Math.max(0, Math.floor(clock.wallNow() / 1000))
  await keepNewNetwork(place, keys, [foundingStatement(root, place.identity.id, name, { random, now })])
  return keys
}

/** Keeps the network that this device was let into. Rejects with `wire-malformed` unless the statements prove that. */
export async function keepJoinedNetwork(
  place: NetworkPlace,
  keys: NetworkKeys,
  statements: readonly Statement[],
): Promise<void> {
  const roster = await provenMember(place, keys, statements)
  await keepNewNetwork(place, keys, roster.statements())
}

async function provenMember(place: NetworkPlace, keys: NetworkKeys, statements: readonly Statement[]): Promise<Roster> {
  const roster = new Roster(keys.network)
  roster.merge((await prove(roster, statements)).statements)
  if (roster.standing(place.identity.id)?.member) return roster
  throw new CulvertError('wire-malformed', 'nothing in the answer proves that this device is a member')
}

export interface HomeNetworkOptions extends NetworkPlace, Context {
  readonly log: Log
  readonly onChange: (change: NetworkChange) => void
}

/** The network of this device, while the agent runs: there, or not there yet; kept on disk as it changes. */
export class HomeNetwork {
  readonly #options: HomeNetworkOptions
  #network: Network | undefined
  #keeper: RosterKeeper | undefined

  private constructor(options: HomeNetworkOptions) {
    this.#options = options
  }

  /** What keeps the agent from its network is logged, and it runs on for its pinned peers. */
  static async open(options: HomeNetworkOptions): Promise<HomeNetwork> {
    const home = new HomeNetwork(options)
    try {
      await tidyNetwork(options.stateDir, options.clock)
      await home.#read()
    } catch (thrown) {
      if (!(thrown instanceof CulvertError)) throw thrown
      options.log.error(thrown.message)
    }
    return home
  }

  get current(): Network | undefined {
    return this.#network
  }

  /** Enters a network that this device was let into, and keeps it; one that it is out of goes. */
  async join(keys: NetworkKeys, statements: readonly Statement[]): Promise<Network> {
    const before = this.#network
    const isOut = before !== undefined && before.own !== 'member'
    const known = isOut && before.id === keys.network ? [...before.roster.statements()] : []
    const all = [...statements, ...known]
    if (isOut) {
      await provenMember(this.#options, keys, all)
      await this.#keeper?.retire()
      await forgetNetwork(this.#options)
    }
    await keepJoinedNetwork(this.#options, keys, all)
    await this.#read()
    if (!this.#network) throw new CulvertError('io', 'the network went away while it was kept')
    this.#options.onChange({ taken: [], touched: new Set(), from: undefined })
    return this.#network
  }

  /** Takes over what a member says who was asked whether this device still is one. Rejects with `wire-malformed` if not. */
  async renew(network: Network, statements: readonly Statement[], from: PeerId): Promise<Network> {
    await network.merge(statements, from)
    await this.save()
    if (network.own === 'member') return network
    throw new CulvertError('wire-malformed', 'what the answer proves is that this device is no member')
  }

  /** Why the last change of the roster is not on the disk. */
  get problem(): string | undefined {
    return this.#keeper?.problem
  }

  /** Resolves when all that was merged so far is on the disk. */
  async save(): Promise<void> {
    await this.#keeper?.save()
  }

  async #read(): Promise<void> {
    const stored = await readNetwork(this.#options, this.#options.log)
    if (stored) this.#enter(stored)
  }

  #enter(stored: StoredNetwork): void {
    const { identity, clock, random, log, onChange } = this.#options
    const keeper = new RosterKeeper(this.#options, { clock, log, statements: () => network.roster.statements() })
    const network: Network = new Network({
      ...stored,
      identity,
      clock,
      random,
      onChange: change => {
        keeper.changed()
        onChange(change)
      },
    })
    this.#network = network
    this.#keeper = keeper
  }
}
