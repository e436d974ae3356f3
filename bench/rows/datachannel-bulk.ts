import { startBareDatachannel } from '../carriers/bare-datachannel.ts'
import { carrierOf } from '../pair.ts'
import { joinAt, siteNames, sitesOf } from '../places.ts'
import { peakRss } from '../process-cost.ts'
import { type Measured, measured, type NotMeasured } from '../result.ts'
import type { Row } from '../row.ts'
import { Stage } from '../stage.ts'
import { takeTurns } from '../statistics.ts'
import { measureRate, type Rate } from '../traffic.ts'

const ROUNDS = 5

/** Bulk bytes over a data channel between two home routers, where UDX cannot be had, against node-datachannel alone in the same place. */
export const datachannelBulk: Row = { name: 'datachannel-bulk', needsRoot: true, seconds: 60, run }

async function run(): Promise<readonly (Measured | NotMeasured)[]> {
  await using stage = await Stage.start(sitesOf(['datachannel']))
  await stage.startRelay()
  const pair = await joinAt(stage, 'datachannel')
  const { agents, near, far } = pair
  const transport = (await agents.near.peer(siteNames('datachannel')[1]))?.path?.transport
  if (transport !== 'datachannel') return [{ skipped: `the agents took ${transport} instead` }]
  const ours = carrierOf(pair)
  const bare = await startBareDatachannel(stage, near.machine, far.machine)
  const results: Measured[] = []
  for (const streams of [1, 8]) {
    const rates = await takeTurns<'agents' | 'bare', Rate>(ROUNDS, {
      agents: () => measureRate(ours, 'up', streams),
      bare: () => measureRate(bare, 'up', streams),
    })
    const what = streams === 1 ? 'up, 1 stream' : `up, ${streams} streams`
    results.push(
      measured({
        measure: `${what}: rate`,
        unit: 'Mbit/s',
        values: rates.agents.map(rate => rate.mbps),
        baseline: { name: 'bare node-datachannel', values: rates.bare.map(rate => rate.mbps) },
        budget: { of: 'ratio', atLeast: 0.85 },
      }),
      measured({
        measure: `${what}: CPU of both agents`,
        unit: 'CPU s/GB',
        values: rates.agents.map(rate => rate.cpuPerGb),
        baseline: { name: 'bare node-datachannel', values: rates.bare.map(rate => rate.cpuPerGb) },
      }),
    )
  }
  const peak = Math.max(peakRss(agents.near.pid), peakRss(agents.far.pid))
  const budget = { of: 'value', atMost: 160 } as const
  return [
    ...results,
    measured({ measure: 'greatest RSS of an agent under 8 streams', unit: 'MB', values: [peak], budget }),
  ]
}
