import { rootTest } from '../lab/root-test.ts'
import { churn, slopeMbPerHour } from './churn.ts'

/** `scripts/soak` asks for more. */
const SECONDS = Number(process.env.CULVERT_SOAK_SECONDS ?? 75)
const SEED = Number(process.env.CULVERT_SOAK_SEED ?? 20_261_126)
const SAMPLE_MS = 5_000
/** Less says nothing about memory. */
const SLOPE_FROM_SECONDS = 900
const WARM_UP = 0.3

rootTest(
  'six agents with fifty streams live through random faults: no stream breaks, and no memory is lost',
  async t => {
    t.timeout(SECONDS * 1000 + 240_000)
    const { faults, streams, bytes, disturbances, memory, alarms } = await churn(SECONDS * 1000, SEED)
    t.log(`${SECONDS} s, seed ${SEED}: ${disturbances} faults, ${streams} streams, ${bytes} bytes there and back`)
    for (const [name, samples] of memory) {
      const warm = samples.slice(Math.floor(samples.length * WARM_UP))
      const slope = slopeMbPerHour(warm, SAMPLE_MS, 24)
      const range = `${Math.min(...warm).toFixed(0)} to ${Math.max(...warm).toFixed(0)} MB`
      t.log(`${name}: ${range}${SECONDS >= SLOPE_FROM_SECONDS ? `, ${slope.toFixed(1)} MB/h` : ''}`)
    }
    t.deepEqual(faults, [])
    t.deepEqual(alarms, [])
    t.true(streams > 50)
  },
)
