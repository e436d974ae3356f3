import { startPair } from '../pair.ts'
import { numbersOf } from '../program.ts'
import { type Measured, measured } from '../result.ts'
import type { Row } from '../row.ts'
import { median, takeTurns } from '../statistics.ts'

const ROUNDS = 5
const PER_ROUND = 11

/** A new stream on a session that is up, on a line of 40 ms: how long until the service's first byte is there. */
export const streamOpen: Row = { name: 'stream-open', needsRoot: true, seconds: 15, run }

async function run(): Promise<readonly Measured[]> {
  await using pair = await startPair({ site: { kind: 'none', delayMs: 10 }, path: 'tcp' })
  const { near, stage } = pair
  const far = stage.machine('far').address
  const ask = async (what: 'open' | 'echo', host: string, port: number) =>
    median(await near.ask(what, { host, port, count: PER_ROUND }, numbersOf))
  const times = await takeTurns<'agents' | 'direct' | 'trip', number>(ROUNDS, {
    agents: () => ask('open', '127.0.0.1', pair.forwardPort),
    direct: () => ask('open', far, pair.servicePort),
    trip: () => ask('echo', far, pair.servicePort),
  })
  const added = times.agents.map((ms, i) => ms - (times.trip[i] ?? Number.NaN))
  return [
    measured({
      measure: 'connect to first byte back',
      unit: 'ms',
      values: times.agents,
      baseline: { name: 'plain TCP connection', values: times.direct },
    }),
    measured({
      measure: 'the same beyond one round trip',
      unit: 'ms',
      values: added,
      budget: { of: 'value', atMost: 5 },
    }),
  ]
}
