import { startBareUdx, startUdxWithHops } from '../carriers/bare-udx.ts'
import { startHyperdht } from '../carriers/hyperdht.ts'
import { optional } from '../optional.ts'
import { carrierOf } from '../pair.ts'
import { joinAt, siteNames, sitesOf } from '../places.ts'
import { peakRss } from '../process-cost.ts'
import { type Measured, measured, type NotMeasured } from '../result.ts'
import type { Row } from '../row.ts'
import { Stage } from '../stage.ts'
import { takeTurns } from '../statistics.ts'
import { measureRate, type Rate } from '../traffic.ts'

const ROUNDS = 5
const PLACE = 'public-udp'

/** Bulk bytes over UDX between two public hosts that TCP does not reach, against UDX with TLS alone and hyperdht. */
export const udxBulk: Row = { name: 'udx-bulk', needsRoot: true, seconds: 75, run }

async function run(): Promise<readonly (Measured | NotMeasured)[]> {
  await using stage = await Stage.start(sitesOf([PLACE]))
  await stage.startRelay()
  const pair = await joinAt(stage, PLACE)
  const { near, far } = pair.agents
  const transport = (await near.peer(siteNames(PLACE)[1]))?.path?.transport
  if (transport !== 'udx') return [{ skipped: `the agents took ${transport} instead` }]
  const [left, right] = [pair.near.machine, pair.far.machine]
  const ours = carrierOf(pair)
  const bare = await startBareUdx(stage, left, right)
  const withHops = await startUdxWithHops(pair)
  const { value: hyperdht, missing } = await optional('hyperdht', () => startHyperdht(stage, left, right))
  const results: (Measured | NotMeasured)[] = [...missing]
  for (const streams of [1, 8]) {
    const rates: Readonly<Record<string, readonly Rate[]>> = await takeTurns<string, Rate>(ROUNDS, {
      agents: () => measureRate(ours, 'up', streams),
      bare: () => measureRate(bare, 'up', streams),
      withHops: () => measureRate(withHops, 'up', streams),
      ...(hyperdht ? { hyperdht: () => measureRate(hyperdht, 'up', streams) } : {}),
    })
    const speed = (name: string) => (rates[name] ?? []).map(rate => rate.mbps)
    const cost = (name: string) => (rates[name] ?? []).map(rate => rate.cpuPerGb)
    const what = streams === 1 ? 'up, 1 stream' : `up, ${streams} streams`
    const compare = (baseline: string, name: string, atLeast?: number) =>
      measured({
        measure: `${what}: rate`,
        unit: 'Mbit/s',
        values: speed('agents'),
        baseline: { name: baseline, values: speed(name) },
        ...(atLeast === undefined ? {} : { budget: { of: 'ratio', atLeast } }),
      })
    results.push(
      compare('bare UDX+TLS', 'bare', 0.85),
      compare('bare UDX+TLS with two local TCP hops', 'withHops'),
      ...(hyperdht ? [compare('hyperdht', 'hyperdht', 0.9)] : []),
      measured({
        measure: `${what}: CPU of both agents`,
        unit: 'CPU s/GB',
        values: cost('agents'),
        baseline: { name: 'bare UDX+TLS', values: cost('bare') },
      }),
    )
  }
  const peak = Math.max(peakRss(near.pid), peakRss(far.pid))
  const budget = { of: 'value', atMost: 160 } as const
  return [
    ...results,
    measured({ measure: 'greatest RSS of an agent under 8 streams', unit: 'MB', values: [peak], budget }),
  ]
}
