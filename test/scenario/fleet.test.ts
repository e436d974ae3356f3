import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { LabProcess } from '../lab/lab-process.ts'
import { rootTest } from '../lab/root-test.ts'
import { World } from './world.ts'

const AGENTS = 200
/** A guard, not a claim. */
const PATIENCE = { timeoutMs: 90_000 }
const PROGRAM = join(import.meta.dirname, 'fleet.ts')
/** Figures are made when nobody has used the lines for a while. */
const CALM_MS = 125_000
const WINDOW_MS = 60_000
const FULL = process.env.CULVERT_FULL !== undefined
const SLICES = 10
const NEARLY_ALL = 0.95

/** When each agent that came back was to dial, and when it was welcomed; ms of the fleet's own clock. */
function comings(fleet: LabProcess, from: number): readonly (readonly [due: number, welcomed: number])[] {
  const first = new Map<string, readonly [due: number, welcomed: number]>()
  for (const [, agent = '', due, welcomed] of fleet.stdout.slice(from).matchAll(/^back (\d+) (\d+) (\d+)$/gm)) {
    if (!first.has(agent)) first.set(agent, [Number(due), Number(welcomed)])
  }
  return [...first.values()]
}

/** How many came in each tenth of the time in which nearly all came: on a machine that is busy one may be long refused. */
function curveOf(times: readonly number[]): { readonly ms: number; readonly slices: readonly number[] } {
  const sorted = times.toSorted((a, b) => a - b).slice(0, Math.ceil(times.length * NEARLY_ALL))
  const [first = 0] = sorted
  const ms = (sorted.at(-1) ?? first) - first
  const slices = new Array<number>(SLICES).fill(0)
  for (const time of sorted) {
    const slice = Math.min(Math.floor(((time - first) / ms) * SLICES), SLICES - 1)
    slices[slice] = (slices[slice] ?? 0) + 1
  }
  return { ms, slices }
}

async function cpuSecondsOf({ pid }: LabProcess): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const [utime = '0', stime = '0'] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13)
  return (Number(utime) + Number(stime)) / 100
}

/** Of the site, both ways, Ethernet headers included. */
async function lineBytes(world: World): Promise<number> {
  const files = ['rx_bytes', 'tx_bytes'].map(name => `/sys/class/net/wan/statistics/${name}`)
  const { stdout } = await world.lab.site('fleet').router.exec('cat', files)
  return stdout.split('\n').reduce((sum, line) => sum + Number(line), 0)
}

rootTest(
  '200 agents at one relay see each other come and go, and come back one by one after it was killed',
  async t => {
    t.timeout(600_000)
    await using world = await World.start({ lab: { sites: { fleet: 'eim-apdf' } }, agents: {} })
    const fleet = world.lab.host('fleet').spawn(process.execPath, [PROGRAM, world.relayUrl, String(AGENTS)])
    /** Waits for a line after the first so many characters. */
    const says = (word: string, from: number) =>
      fleet.waitForOutput(new RegExp(`^[^]{${from}}[^]*(?<=\\n)${word}\\n`), PATIENCE)
    const tell = (line: string) => fleet.child.stdin.write(`${line}\n`)

    const began = performance.now()
    await fleet.waitForOutput(new RegExp(`^all ${AGENTS}$`, 'm'), PATIENCE)
    t.log(`all ${AGENTS} saw each other ${Math.round(performance.now() - began)} ms after the start of their process`)

    tell('leave 7')
    await says(`all ${AGENTS - 1}`, 0)
    const gone = fleet.stdout.length
    tell('join 7')
    await says(`all ${AGENTS}`, gone)

    if (FULL) {
      await wait(CALM_MS)
      const look = async () => ({
        bytes: await lineBytes(world),
        agents: await cpuSecondsOf(fleet),
        relay: world.relay ? await cpuSecondsOf(world.relay) : 0,
      })
      const before = await look()
      await wait(WINDOW_MS)
      const after = await look()
      const anHour = (value: number) => (value * 3_600_000) / WINDOW_MS / AGENTS
      t.log(`of one idle agent in an hour: ${Math.round(anHour(after.bytes - before.bytes))} bytes on the line,`)
      t.log(
        `${anHour(after.agents - before.agents).toFixed(2)} s of CPU, ${anHour(after.relay - before.relay).toFixed(2)} s of the relay's`,
      )
    }

    const up = fleet.stdout.length
    await world.relay?.stop('SIGKILL')
    await says('nobody', up)
    // Long enough that all have failed at least once, and none knows when the others try.
    await wait(3_000)
    await world.startRelay()
    await says(`all ${AGENTS}`, up)
    const back = comings(fleet, up)
    t.is(back.length, AGENTS)
    const due = curveOf(back.map(([at]) => at))
    const welcomed = curveOf(back.map(([, at]) => at))
    t.log(`after a restart they were to dial within ${due.ms} ms: ${due.slices.join(', ')} in each tenth of it`)
    t.log(`and were welcomed within ${welcomed.ms} ms: ${welcomed.slices.join(', ')}`)
    // What a machine that is busy does to the moments at which they get to it is not theirs.
    const most = Math.max(...due.slices)
    t.true(most <= (3 * AGENTS) / SLICES, `${most} of them in one tenth of ${due.ms} ms`)
  },
)
