import { startPair } from '../pair.ts'
import { numbersOf } from '../program.ts'
import { type Measured, measured } from '../result.ts'
import type { Row } from '../row.ts'
import { median, takeTurns } from '../statistics.ts'

const ROUNDS = 7
const PER_ROUND = 300

/** What two agents add to the round trip of a small message, when nothing else flows. */
export const roundTrip: Row = { name: 'round-trip', needsRoot: false, seconds: 10, run }

async function run(): Promise<readonly Measured[]> {
  await using pair = await startPair({ site: 'none', path: 'tcp' })
  const { near, stage } = pair
  const echo = async (host: string, port: number) =>
    median(await near.ask('echo', { host, port, count: PER_ROUND }, numbersOf))
  const far = stage.machine('far').address
  const times = await takeTurns<'agents' | 'direct', number>(ROUNDS, {
    agents: () => echo('127.0.0.1', pair.forwardPort),
    direct: () => echo(far, pair.servicePort),
  })
  const added = times.agents.map((ms, i) => ms - (times.direct[i] ?? Number.NaN))
  return [
    measured({ measure: 'echo of 64 bytes through two agents, p50', unit: 'ms', values: times.agents }),
    measured({ measure: 'echo over plain TCP, p50', unit: 'ms', values: times.direct }),
    measured({ measure: 'added round trip, p50', unit: 'ms', values: added, budget: { of: 'value', atMost: 0.3 } }),
  ]
}
