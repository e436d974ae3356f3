import { startPair } from '../pair.ts'
import { peakRss } from '../process-cost.ts'
import { fieldsOf, nothing, Program } from '../program.ts'
import { type Measured, measured } from '../result.ts'
import type { Row } from '../row.ts'
import type { Stage } from '../stage.ts'
import { takeTurns } from '../statistics.ts'
import { type Carrier, measureRate, type Rate } from '../traffic.ts'

const ROUNDS = 5

/** Bulk bytes over a data channel between two home routers, against node-datachannel alone in the same place. */
export const datachannelBulk: Row = { name: 'datachannel-bulk', needsRoot: true, seconds: 60, run }

async function run(): Promise<readonly Measured[]> {
  await using pair = await startPair({ site: 'edm', farSite: 'eim-eif', path: 'udp' })
  const { near, far, agents } = pair
  const start = { host: '127.0.0.1', port: pair.forwardPort }
  const ours: Carrier = { near, far, start, pids: [agents.near.pid, agents.far.pid] }
  const bare = await barePair(pair.stage)
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

/** Two processes with nothing but node-datachannel, which make up the bytes and count them themselves. */
async function barePair(stage: Stage): Promise<Carrier> {
  const stun = stage.relayMachine.address
  const [near, far] = await Promise.all([
    Program.start(stage.machine('near'), 'datachannel-end', [stun, '3478']),
    Program.start(stage.machine('far'), 'datachannel-end', [stun, '3478']),
  ])
  const description = (answer: unknown) => {
    const { sdp, type } = fieldsOf(answer)
    return { sdp: String(sdp), type: String(type) }
  }
  const offer = await near.ask('describe', {}, description)
  const answer = await far.ask('describe', offer, description)
  await near.ask('answer', answer, nothing)
  await Promise.all([near.ask('open', {}, nothing), far.ask('open', {}, nothing)])
  return { near, far, start: {}, pids: [near.pid, far.pid] }
}
