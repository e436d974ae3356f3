import { startBareDatachannel } from './carriers/bare-datachannel.ts'
import { startBareTls } from './carriers/bare-tls.ts'
import { startBareUdx, startUdxWithHops } from './carriers/bare-udx.ts'
import { startHyperdht } from './carriers/hyperdht.ts'
import { startIperf3 } from './carriers/iperf3.ts'
import { startNebula } from './carriers/nebula.ts'
import { startSsh } from './carriers/ssh.ts'
import { type Contender, contenderOf } from './contender.ts'
import type { Ends } from './ends.ts'
import { carrierOf } from './pair.ts'
import { joinAt, type PlaceName, siteNames } from './places.ts'
import type { Stage } from './stage.ts'

export const OURS = 'culvert'
export const BARE_TLS = 'bare Node TLS over TCP'
export const BARE_UDX = 'bare Node TLS over UDX'

export interface Entry {
  readonly name: string
  /** How many turns it gets, of three. */
  readonly turns: 1 | 2 | 3
  start(): Promise<Contender>
}

/** The places where agents stand in the comparison. */
export const OUR_PLACES = ['public', 'tcp-only', 'udp', 'datachannel', 'relay'] as const satisfies readonly PlaceName[]

/** All who carry bytes over one line. The others stand between the public hosts of `ends`. */
export function entries(stage: Stage, ends: Ends): readonly Entry[] {
  const { near, far } = ends
  const agents = async (place: PlaceName): Promise<Contender> => {
    const pair = await joinAt(stage, place)
    const path = async () => (await pair.agents.near.peer(siteNames(place)[1]))?.path?.transport
    return { ...contenderOf(carrierOf(pair)), path }
  }
  return [
    { name: OURS, turns: 3, start: () => agents('public') },
    { name: BARE_TLS, turns: 3, start: async () => contenderOf(await startBareTls(ends)) },
    {
      name: BARE_UDX,
      turns: 3,
      start: async () => contenderOf(await startBareUdx(stage, near.machine, far.machine)),
    },
    { name: `${BARE_UDX}, two local hops`, turns: 2, start: async () => contenderOf(await startUdxWithHops(ends)) },
    { name: `${OURS}, TCP only`, turns: 2, start: () => agents('tcp-only') },
    { name: `${OURS}, UDP only`, turns: 2, start: () => agents('udp') },
    { name: `${OURS}, data channel only`, turns: 1, start: () => agents('datachannel') },
    { name: `${OURS}, relay only`, turns: 2, start: () => agents('relay') },
    { name: 'ssh -L', turns: 2, start: async () => contenderOf(await startSsh(ends)) },
    { name: 'nebula', turns: 2, start: async () => contenderOf(await startNebula(ends)) },
    {
      name: 'hyperdht',
      turns: 2,
      start: async () => contenderOf(await startHyperdht(stage, near.machine, far.machine)),
    },
    {
      name: 'bare node-datachannel',
      turns: 1,
      start: async () => contenderOf(await startBareDatachannel(stage, near.machine, far.machine)),
    },
    { name: 'iperf3', turns: 2, start: () => startIperf3(ends) },
    { name: 'iperf3, CUBIC', turns: 1, start: () => startIperf3(ends, 'cubic') },
  ]
}
