import { startNebula } from '../carriers/nebula.ts'
import { type Lane, look, startLane, startPacing } from '../lane.ts'
import { optional } from '../optional.ts'
import { startEnds } from '../pair.ts'
import { type PlaceName, sitesOf } from '../places.ts'
import { fieldsOf } from '../program.ts'
import { monotonicMs, type PaceReport } from '../programs/paced-stream.ts'
import { type Measured, measured, type NotMeasured } from '../result.ts'
import type { Row } from '../row.ts'
import { Stage } from '../stage.ts'
import { pause } from '../traffic.ts'

const ROUNDS = 3
const CUT_MS = 5_000
/** What a path needs to settle between two disturbances. */
const CALM_MS = 3_500
const NEVER_MS = 30_000

const PLACES = ['tcp', 'udp', 'datachannel', 'relay'] as const satisfies readonly PlaceName[]
const NEBULA = ['nebula-near', 'nebula-far'] as const
/** What may befall the near site of every lane. */
const DISTURBANCES = {
  'after 5 s without a line': async site => {
    await site.cut()
    await pause(CUT_MS)
    await site.restore()
  },
  'after a NAT rebind': site => site.rebind(),
  'after a new address': site => site.newAddress(),
} as const satisfies Readonly<Record<string, (site: LabSite) => Promise<void>>>
type LabSite = ReturnType<NonNullable<Stage['lab']>['site']>

/** Streams that live through disturbances, one over each kind of path: when they flow again, and what is lost. */
export const recovery: Row = { name: 'recovery', needsRoot: true, seconds: 105, run }

async function run(): Promise<readonly (Measured | NotMeasured)[]> {
  await using stage = await Stage.start({ ...sitesOf(PLACES), [NEBULA[0]]: 'eim-apdf', [NEBULA[1]]: 'none' })
  await stage.startRelay()
  const lanes = await Promise.all(PLACES.map(place => startLane(stage, place)))
  const { value: other, missing } = await optional('nebula', () => nebulaLane(stage))
  await pause(1_000)

  const all = other ? [...lanes, other] : lanes
  const results: (Measured | NotMeasured)[] = [...missing]
  for (const [what, befall] of Object.entries(DISTURBANCES)) {
    const silences = new Map(all.map(lane => [lane, [] as number[]]))
    for (let round = 0; round < ROUNDS; round++) {
      for (const [lane, seconds] of await disturb(stage, all, befall)) silences.get(lane)?.push(seconds)
    }
    const nebula = other && silences.get(other)
    for (const lane of lanes) {
      results.push(
        measured({
          measure: `${lane.name} path, ${what}`,
          unit: 's',
          values: silences.get(lane) ?? [],
          ...(nebula ? { baseline: { name: 'TCP through nebula', values: nebula } } : {}),
          budget: { of: 'value', atMost: 3 },
        }),
      )
    }
  }
  results.push(...(await restarts(stage, lanes)))
  const reports = await Promise.all(lanes.map(({ near }) => near.ask('finish', {}, reportOf)))
  const lost = reports.map(({ sent, received, misplaced }) => (sent - received + misplaced) * 8)
  const values = [lost.reduce((sum, one) => sum + one, 0)]
  const budget = { of: 'value', atMost: 0 } as const
  return [...results, measured({ measure: 'lost or doubled in all', unit: 'bytes', values, budget })]
}

/** Disturbs all lanes alike; gives the seconds of silence of each from when the network was well again. */
async function disturb(stage: Stage, lanes: readonly Lane[], befall: (site: LabSite) => Promise<void>) {
  const startedAt = monotonicMs()
  const wellAt = await Promise.all(
    lanes.map(async ({ name }) => {
      const site = stage.lab?.site(`${name}-near`)
      if (site) await befall(site)
      return monotonicMs()
    }),
  )
  const first = await Promise.all(lanes.map(({ near }, i) => firstAfter(near, wellAt[i] ?? startedAt)))
  await pause(CALM_MS)
  const silences: (readonly [Lane, number])[] = []
  for (const [i, lane] of lanes.entries()) {
    // Not up to the first byte: one that was under way just then must not pass for a path that works again.
    const { longestGap, until } = await look(lane.near, startedAt)
    const silentMs = Math.max(0, Math.min(longestGap, until - (wellAt[i] ?? startedAt)))
    silences.push([lane, first[i] === Number.POSITIVE_INFINITY ? Number.POSITIVE_INFINITY : silentMs / 1000])
  }
  return silences
}

/** What a restart of the relay is to paths over it, and to the others. */
async function restarts(stage: Stage, lanes: readonly Lane[]): Promise<readonly Measured[]> {
  const afterRestart: number[] = []
  const gaps: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const stoppedAt = monotonicMs()
    await stage.relay?.stop()
    await stage.startRelay()
    const readyAt = monotonicMs()
    for (const { name, near } of lanes) {
      if (name === 'relay') afterRestart.push(((await firstAfter(near, readyAt)) - readyAt) / 1000)
    }
    await pause(CALM_MS)
    for (const { name, near } of lanes) {
      if (name !== 'relay') gaps.push((await look(near, stoppedAt)).longestGap)
    }
  }
  const budget = { of: 'value', atMost: 3 } as const
  return [
    measured({ measure: 'relay path, after a restart of the relay', unit: 's', values: afterRestart, budget }),
    measured({ measure: 'direct paths during a restart of the relay: longest silence', unit: 'ms', values: gaps }),
  ]
}

async function nebulaLane(stage: Stage): Promise<Lane> {
  const ends = await startEnds(stage, ...NEBULA)
  const { start } = await startNebula(ends)
  await startPacing(ends.near, start)
  return { name: 'nebula', near: ends.near }
}

/** When the first byte came back at or after this moment; after long enough without one, infinity. */
async function firstAfter(near: Lane['near'], since: number): Promise<number> {
  while (monotonicMs() < since + NEVER_MS) {
    const { first } = await look(near, since)
    if (first !== null) return first
    await pause(50)
  }
  return Number.POSITIVE_INFINITY
}

function reportOf(answer: unknown): PaceReport {
  const { sent, received, misplaced } = fieldsOf(answer)
  return { sent: Number(sent), received: Number(received), misplaced: Number(misplaced) }
}
