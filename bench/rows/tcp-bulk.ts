import { startBareTls } from '../carriers/bare-tls.ts'
import { startSsh } from '../carriers/ssh.ts'
import { optional } from '../optional.ts'
import { carrierOf, startPair } from '../pair.ts'
import { peakRss } from '../process-cost.ts'
import { type Measured, measured, type NotMeasured } from '../result.ts'
import type { Row } from '../row.ts'
import { isRoot } from '../stage.ts'
import { takeTurns } from '../statistics.ts'
import { type Carrier, type Direction, measureRate, type Rate } from '../traffic.ts'

const ROUNDS = 5

/** Bulk bytes over a direct TCP path, against two bare Node processes with TLS between them and against ssh. */
export const tcpBulk: Row = { name: 'tcp-bulk', needsRoot: false, seconds: 120, run }

async function run(): Promise<readonly (Measured | NotMeasured)[]> {
  await using pair = await startPair({ site: 'none', path: 'tcp' })
  const ssh = isRoot ? await optional('ssh -L', () => startSsh(pair)) : { missing: [] }
  const carriers = {
    agents: carrierOf(pair),
    bare: await startBareTls(pair),
    ...(ssh.value ? { ssh: ssh.value } : {}),
  }
  const results: (Measured | NotMeasured)[] = [...ssh.missing]
  for (const streams of [1, 8]) {
    for (const direction of ['up', 'down'] as const) results.push(...(await compare(carriers, direction, streams)))
  }
  const peak = Math.max(peakRss(pair.agents.near.pid), peakRss(pair.agents.far.pid))
  const budget = { of: 'value', atMost: 160 } as const
  results.push(measured({ measure: 'greatest RSS of an agent under 8 streams', unit: 'MB', values: [peak], budget }))
  return results
}

async function compare(
  carriers: { readonly agents: Carrier; readonly bare: Carrier; readonly ssh?: Carrier },
  direction: Direction,
  streams: number,
): Promise<readonly Measured[]> {
  const { agents, bare, ssh } = carriers
  const rates: Readonly<Record<string, readonly Rate[]>> = await takeTurns<string, Rate>(ROUNDS, {
    agents: () => measureRate(agents, direction, streams),
    bare: () => measureRate(bare, direction, streams),
    ...(ssh ? { ssh: () => measureRate(ssh, direction, streams) } : {}),
  })
  const speed = (name: string) => (rates[name] ?? []).map(rate => rate.mbps)
  const cost = (name: string) => (rates[name] ?? []).map(rate => rate.cpuPerGb)
  const what = `${direction}, ${streams === 1 ? '1 stream' : `${streams} streams`}`
  return [
    measured({
      measure: `${what}: rate`,
      unit: 'Mbit/s',
      values: speed('agents'),
      baseline: { name: 'bare net+TLS', values: speed('bare') },
      budget: { of: 'ratio', atLeast: 0.85 },
    }),
    measured({
      measure: `${what}: CPU of both agents`,
      unit: 'CPU s/GB',
      values: cost('agents'),
      baseline: { name: 'bare net+TLS', values: cost('bare') },
      budget: { of: 'ratio', atMost: 1.25 },
    }),
    ...(ssh
      ? [
          measured({
            measure: `${what}: rate`,
            unit: 'Mbit/s',
            values: speed('agents'),
            baseline: { name: 'ssh -L aes128-gcm', values: speed('ssh') },
            budget: { of: 'ratio', atLeast: 0.8 },
          }),
        ]
      : []),
  ]
}
