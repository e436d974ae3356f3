import { join } from 'node:path'
import { foundNetwork, HomeNetwork, keepJoinedNetwork } from '../../agent/trust/home-network.ts'
import type { Network } from '../../agent/trust/network.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { createLog } from '../../common/platform/log.ts'
import { systemRandom } from '../../common/platform/random.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import type { World } from './world.ts'

const QUIET = createLog({ level: 'error', style: 'words', write: () => undefined })
const CONTEXT = { clock: systemClock, random: systemRandom }

/** What an agent that does not run now signs in its network, and keeps. */
export async function inNetworkOf(world: World, name: string, act: (network: Network) => void): Promise<void> {
  const place = { stateDir: join(world.directory, name, 'state'), identity: world.keyOf(name) }
  const home = await HomeNetwork.open({ ...place, ...CONTEXT, log: QUIET, onChange: () => undefined })
  if (!home.current) throw new Error(`${name} is in no network`)
  act(home.current)
  await home.save()
}

/** Members by name, with their roles, in the order in which they were let in. */
export type Founding = Readonly<Record<string, readonly string[]>>

/**
 * Makes a network of prepared agents that do not run yet: on disk, as `init` and `join` leave it. Each knows those that were
 * let in before it, or all, as the founder does. Resolves with the network's id.
 */
export async function foundIn(
  world: World,
  founder: string,
  others: Founding,
  knows: 'before' | 'all' = 'before',
): Promise<PeerId> {
  const placeOf = (name: string) => ({ stateDir: join(world.directory, name, 'state'), identity: world.keyOf(name) })
  const keys = await foundNetwork(placeOf(founder), founder, CONTEXT)
  const home = await HomeNetwork.open({ ...placeOf(founder), ...CONTEXT, log: QUIET, onChange: () => undefined })
  const network = home.current
  if (!network) throw new Error('no network was founded')
  const admissions = Object.entries(others).map(([name, roles]) => ({
    peer: world.idOf(name),
    name,
    roles,
    notAfter: 0,
  }))
  if (knows === 'all') for (const admission of admissions) network.admit(admission)
  for (const admission of admissions) {
    if (knows === 'before') network.admit(admission)
    await keepJoinedNetwork(placeOf(admission.name), keys, [...network.roster.statements()])
  }
  await home.save()
  return network.id
}
