import { setTimeout as wait } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { RELAY_ADDRESSES } from '../lab/address-plan.ts'
import type { CarrierOptions, SiteOptions } from '../lab/lab-options.ts'
import { rootTest } from '../lab/root-test.ts'
import { AT_HOME, AT_THE_ROUTER, type Disturbance, FURTHER_OUT, writeHosts } from './disturbances.ts'
import { Lane, type PathKind } from './lane.ts'
import { echoService } from './transfer.ts'
import { World } from './world.ts'

/** With CULVERT_FULL each disturbance strikes either side so many times (the issue asks for 5); else one side, once. */
const FULL = process.env.CULVERT_FULL !== undefined
const REPEATS = FULL ? Number(process.env.CULVERT_FULL) : 1
/** Only the disturbances whose names begin so, and only the lanes that they are tried on: `relay` for those of the relay. */
const ONLY = process.env.CULVERT_ONLY
/** Of the issue: bytes flow again so soon after the network allows it. */
const BUDGET_MS = 3_000
/** In a short run the machine may be busy with something else, and one strike of a kind says nothing about time. */
const SLACK = FULL ? 1 : 3
const CALM_MS = 1_000
/** Slow, for nine pairs share the machine, and it is not the machine that is looked at. */
const LINE = { rateMbit: 6 } as const

/** Sites between which each kind of path is the best: a hard NAT leaves UDP where the other side lets anybody in. */
const SITES_OF: Readonly<Record<PathKind, readonly [SiteOptions, SiteOptions]>> = {
  tcp: [{ kind: 'eim-apdf' }, { kind: 'eim-apdf', ipv6: 'open' }],
  // Mappings of 20 s, as on many home routers.
  udp: [
    { kind: 'edm', udpTimeoutS: 20 },
    { kind: 'eim-eif', udpTimeoutS: 20 },
  ],
  relay: [{ kind: 'edm' }, { kind: 'edm' }],
}
const KINDS: readonly PathKind[] = ['tcp', 'udp', 'relay']

const GROUPS = [
  { group: 'home', disturbances: AT_HOME, carrier: false },
  { group: 'router', disturbances: AT_THE_ROUTER, carrier: false },
  { group: 'out', disturbances: FURTHER_OUT, carrier: true },
] as const

/** What befalls all lanes at once. */
const AT_THE_RELAY: ReadonlyArray<readonly [string, (world: World) => Promise<void>]> = [
  [
    'relay cut off for 5 s',
    async world => {
      await world.lab.relayHost.cut()
      await wait(5_000)
      await world.lab.relayHost.restore()
    },
  ],
  [
    'relay slow for 5 s',
    async world => {
      await world.lab.relayHost.setRate(0.5)
      await wait(5_000)
      await world.lab.relayHost.setRate(null)
    },
  ],
  [
    'relay killed, and started again',
    async world => {
      await world.relay?.stop('SIGKILL')
      await world.startRelay()
    },
  ],
]
const AT_THE_RELAY_NOW = AT_THE_RELAY.filter(([name]) => name.startsWith(ONLY ?? ''))

interface LanePlan {
  readonly kind: PathKind
  readonly ends: readonly [string, string]
  readonly disturbances: readonly Disturbance[]
  readonly carrier: boolean
}

const PLANS: readonly LanePlan[] = GROUPS.flatMap(({ group, disturbances, carrier }) =>
  KINDS.map(kind => ({
    kind,
    ends: [`${kind}-${group}-a`, `${kind}-${group}-b`] as const,
    disturbances: disturbances.filter(({ on, name }) => (!on || on.includes(kind)) && name.startsWith(ONLY ?? '')),
    carrier,
  })),
).filter(({ disturbances }) => disturbances.length > 0 || AT_THE_RELAY_NOW.length > 0)

interface Outcome {
  readonly disturbance: string
  readonly kind: PathKind
  readonly side: 'near' | 'far'
  readonly flowsMs: number
  readonly budgetMs: number
}

async function startWorld(): Promise<World> {
  const sites: Record<string, SiteOptions> = {}
  const carriers: Record<string, CarrierOptions> = {}
  for (const { kind, ends, carrier } of PLANS) {
    for (const [n, name] of ends.entries()) {
      const via = `${name}-isp`
      sites[name] = { ...(SITES_OF[kind][n] ?? { kind: 'none' }), ...LINE, ...(carrier ? { via } : {}) }
      if (!carrier) continue
      carriers[via] = { kind: 'eim-eif' }
      sites[`${name}-cell`] = { kind: 'edm', hosts: 0, ...LINE }
      sites[`${name}-v6`] = { kind: 'eim-apdf', ipv6: 'only', hosts: 0, ...LINE }
    }
  }
  const world = await World.start({ lab: { sites, carriers }, agents: {}, relay: { listen: '[::]:443' } })
  const hosts = world.lab.hosts.filter(({ name }) => PLANS.some(({ ends }) => ends.includes(name)))
  const { v4, v6 } = RELAY_ADDRESSES
  await Promise.all(
    hosts.map(async ({ name }) => {
      await world.prepare(name)
      await writeHosts({ world, name }, [`${v4[0]} relay.test`, `${v6[0]} relay.test`])
      await world.lab.host(name).probeMtu()
    }),
  )
  await world.lab.relayHost.probeMtu()
  return world
}

async function startLane(world: World, { ends }: LanePlan, target: string): Promise<Lane> {
  const config = { services: { echo: { target } }, relays: [{ url: 'http://relay.test:443' }] }
  const [near, far] = await Promise.all([
    world.startAgent(ends[0], { peers: [ends[1]], config, keep: true }),
    world.startAgent(ends[1], { peers: [ends[0]], config }),
  ])
  await Promise.all([near.waitForRelay(), far.waitForRelay()])
  return Lane.start(near, far)
}

/** Has everything befall a lane that is planned for it, one after the other. */
async function disturb(t: ExecutionContext, world: World, plan: LanePlan, lane: Lane, outcomes: Outcome[]) {
  const sides = ['near', 'far'] as const
  for (let round = 0; round < REPEATS; round++) {
    for (const [n, disturbance] of plan.disturbances.entries()) {
      // In a short run the sides take turns, others for each kind of path.
      for (const side of FULL ? sides : sides.filter((_, s) => (n + KINDS.indexOf(plan.kind)) % 2 === s)) {
        const kind = await lane.settle(plan.kind)
        await wait(CALM_MS)
        const place = { world, name: plan.ends[side === 'near' ? 0 : 1] }
        await disturbance.strike(place)
        const flowsMs = await lane.flowsAgain()
        const { name, budgetMs = BUDGET_MS } = disturbance
        outcomes.push({ disturbance: name, kind, side, flowsMs, budgetMs })
        t.log(`${kind} ${side}: ${disturbance.name}: ${flowsMs} ms`)
        await disturbance.mend?.(place)
      }
    }
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN
}

rootTest(
  'whatever befalls the network, bytes flow again soon after it is over, and none is lost or doubled',
  async t => {
    t.timeout(FULL ? 3_600_000 : 540_000)
    await using world = await startWorld()
    const target = await world.serve('echo', echoService)
    const outcomes: Outcome[] = []
    const lanes = await Promise.all(PLANS.map(plan => startLane(world, plan, target)))
    await Promise.all(
      PLANS.map(async (plan, n) => {
        const lane = lanes[n]
        if (lane) await disturb(t, world, plan, lane, outcomes)
      }),
    )
    for (let round = 0; round < REPEATS; round++) {
      for (const [disturbance, strike] of AT_THE_RELAY_NOW) {
        const kinds = await Promise.all(lanes.map((lane, n) => lane.settle(PLANS[n]?.kind ?? 'relay')))
        await strike(world)
        await Promise.all(
          lanes.map(async (lane, n) => {
            const flowsMs = await lane.flowsAgain()
            outcomes.push({ disturbance, kind: kinds[n] ?? 'relay', side: 'near', flowsMs, budgetMs: BUDGET_MS })
          }),
        )
      }
    }
    const faults = await Promise.all(lanes.map(lane => lane.finish()))
    t.deepEqual(faults.flat(), [])
    t.log(`${lanes.reduce((sum, { transfer }) => sum + transfer.bytes, 0)} bytes there and back, SHA-256 equal`)

    const rows = Map.groupBy(outcomes, ({ disturbance, kind, side }) => `${disturbance} | ${kind} | ${side}`)
    for (const [row, all] of rows) {
      const flows = all.map(({ flowsMs }) => flowsMs)
      if (FULL) t.true(median(flows) <= (all[0]?.budgetMs ?? 0), `${row}: ${flows.join(', ')} ms`)
      t.log(`| ${row} | ${median(flows)} | ${flows.join(', ')} |`)
    }
    t.true(median(outcomes.map(({ flowsMs }) => flowsMs)) <= BUDGET_MS * SLACK)
  },
)
