import { BARE_TLS, BARE_UDX, entries, OUR_PLACES, OURS } from '../contenders.ts'
import { contest, type Rules, type Standing } from '../contest.ts'
import { halfOf, type Line } from '../lines.ts'
import { startEnds } from '../pair.ts'
import { siteNames, sitesOf } from '../places.ts'
import { type Measured, measured, type NotMeasured, type Point, type Unit } from '../result.ts'
import type { Row } from '../row.ts'
import { Stage } from '../stage.ts'

const LOSSY_BUDGET = 0.8

/** What everybody carries over one kind of line: culvert by each kind of path, what it is made of, and its peers. */
export function lineRow(line: Line): Row {
  return { name: line.name, needsRoot: true, seconds: 120, run: () => run(line) }
}

async function run(line: Line): Promise<readonly (Measured | NotMeasured)[]> {
  await using stage = await Stage.start(sitesOf(OUR_PLACES, halfOf(line)))
  await stage.startRelay()
  const ends = await startEnds(stage, ...siteNames('public'))
  const standings = await contest(entries(stage, ends), rulesFor(line))
  return [...standings.flatMap(standing => figuresOf(line, standing)), ...againstTheBest(line, standings)]
}

/** On a long line windows take ten round trips to grow; where packets are lost an agent tries which path is faster. */
function rulesFor({ rttMs, lossPct }: Line): Rules {
  return {
    timing: rttMs > 0 ? { warmUpMs: 1_000, windowMs: 2_000 } : { warmUpMs: 400, windowMs: 1_500 },
    echoes: rttMs > 0 ? 5 : 100,
    learnMs: lossPct > 0 ? 9_000 : 0,
  }
}

function figuresOf(line: Line, { name, turns, memoryMb, failed }: Standing): readonly (Measured | NotMeasured)[] {
  if (turns.length === 0) return [{ skipped: `${name}: ${failed ?? 'it had no turn'}` }]
  const one = (what: string, figure: Point['figure'], unit: Unit, values: readonly number[]): Measured =>
    measured({ measure: `${name}: ${what}`, unit, values, point: { figure, line: line.label, program: name } })
  return [
    one(
      'rate',
      'rate',
      'Mbit/s',
      turns.map(({ rate }) => rate.mbps),
    ),
    one(
      'CPU of both ends',
      'cpu',
      'CPU s/GB',
      turns.map(({ rate }) => rate.cpuPerGb),
    ),
    one(
      'round trip, p50',
      'round trip',
      'ms',
      turns.map(({ roundTripMs }) => roundTripMs),
    ),
    ...(Number.isNaN(memoryMb) ? [] : [one('greatest RSS of a process', 'memory', 'MB', [memoryMb])]),
    ...(failed === undefined ? [] : [{ skipped: `${name}, after ${turns.length} turns: ${failed}` }]),
  ]
}

/** What the agents make of a line, where they may choose, by the better of the two that they are made of. */
function againstTheBest({ rttMs, lossPct }: Line, standings: readonly Standing[]): readonly (Measured | NotMeasured)[] {
  const rates = (name: string) => standings.find(one => one.name === name)?.turns.map(({ rate }) => rate.mbps) ?? []
  const [tcp, udx, values] = [rates(BARE_TLS), rates(BARE_UDX), rates(OURS)]
  if (values.length === 0) return [{ skipped: `${OURS} by the better of TCP and UDX: it was not measured` }]
  const paths = standings.find(one => one.name === OURS)?.turns.map(({ path }) => path ?? 'no path') ?? []
  const best = values.map((_, i) => Math.max(tcp[i] ?? Number.NaN, udx[i] ?? Number.NaN))
  // Design §13 asks more of this one line than issue and test ask of all lossy ones.
  const budget = rttMs === 80 ? 0.9 : lossPct > 0 ? LOSSY_BUDGET : undefined
  return [
    measured({
      measure: `${OURS} over ${[...new Set(paths)].join(', ')}: rate`,
      unit: 'Mbit/s',
      values,
      baseline: { name: 'better of bare Node TLS over TCP, UDX', values: best },
      ...(budget === undefined ? {} : { budget: { of: 'ratio', atLeast: budget } }),
    }),
  ]
}
