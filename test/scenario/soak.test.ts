import { rootTest } from '../lab/root-test.ts'
import { type AtRest, churn, slopeMbPerHour } from './churn.ts'

/** `scripts/soak` asks for more. */
const SECONDS = Number(process.env.CULVERT_SOAK_SECONDS ?? 75)
const SEED = Number(process.env.CULVERT_SOAK_SEED ?? 20_261_126)
const ROUND_S = 60
/** Less says nothing about memory. */
const SLOPE_FROM_SECONDS = 900
const WARM_UP = 0.3

rootTest(
  'six agents with fifty streams live through random faults: no stream breaks, and no memory is lost',
  async t => {
    t.timeout(SECONDS * 2000 + 300_000)
    const rounds = Math.max(1, Math.floor(SECONDS / ROUND_S))
    const { faults, streams, bytes, disturbances, rests, alarms } = await churn(rounds, (SECONDS * 1000) / rounds, SEED)
    t.log(`${SECONDS} s, seed ${SEED}: ${disturbances} faults, ${streams} streams, ${bytes} bytes there and back`)
    const agents = [...rests].map(([name, all]) => ({ name, warm: all.slice(Math.floor(all.length * WARM_UP)) }))
    for (const { name, warm } of agents) {
      t.log(name, ...(['live', 'compiled', 'resident', 'files'] as const).map(what => course(warm, what)))
    }
    if (SECONDS >= SLOPE_FROM_SECONDS) {
      // What is under way in an agent at the moment sways its own line by some MB an hour, but not that of all six.
      const slopes = agents.map(({ warm }) => slopeMbPerHour(warm, ({ live }) => live))
      const mean = slopes.reduce((sum, slope) => sum + slope, 0) / slopes.length
      t.log(`live, mean of all: ${mean.toFixed(2)} MB/h`)
      t.true(mean < 1)
    }
    t.deepEqual(faults, [])
    t.deepEqual(alarms, [])
    t.true(streams > 50)
  },
)

function course(rests: readonly AtRest[], what: keyof AtRest): string {
  const values = rests.map(rest => rest[what])
  const range = `${what} ${Math.min(...values).toFixed(1)} to ${Math.max(...values).toFixed(1)}`
  return rests.length < 3 ? range : `${range} (${slopeMbPerHour(rests, rest => rest[what]).toFixed(1)}/h)`
}
