import { copyFile, glob, mkdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { requireProgram } from '../carriers/required-program.ts'
import { monotonicMs } from '../programs/paced-stream.ts'
import { type Measured, measured } from '../result.ts'
import type { Row } from '../row.ts'
import { bundle, Stage } from '../stage.ts'

const STARTS = 9
const ROOT = join(import.meta.dirname, '../..')
/** The native parts of our packages for this machine. */
const NATIVE = [
  'node_modules/node-datachannel/build/Release/*.node',
  `node_modules/@node-datachannel/*linux-${process.arch}*/**/*.node`,
  `node_modules/udx-native/prebuilds/linux-${process.arch}/*.node`,
]

/** What a packaged binary is made of: Node without symbols, the bundle and native parts. */
export const program: Row = { name: 'program', needsRoot: false, seconds: 60, run }

async function run(): Promise<readonly Measured[]> {
  requireProgram('strip', 'binutils')
  requireProgram('xz', 'xz-utils')
  await using stage = await Stage.local()
  const folder = join(stage.directory, 'program')
  await mkdir(folder)
  const node = join(folder, 'node')
  await copyFile(process.execPath, node)
  const { exec } = stage.relayMachine
  await exec('strip', [node])
  for (const file of ['culvert.cjs', 'culvert.code']) {
    await copyFile(join(dirname(bundle()), file), join(folder, file))
  }
  for await (const file of glob(NATIVE, { cwd: ROOT })) await copyFile(join(ROOT, file), join(folder, basename(file)))
  let bytes = 0
  for await (const file of glob('*', { cwd: folder })) bytes += (await stat(join(folder, file))).size
  // Level 6 takes off another 4 %, and half as much time again.
  const { stdout } = await exec('sh', ['-c', 'tar -c "$1" | xz -T0 -4 | wc -c', 'sh', folder])
  const one = (measure: string, unit: Measured['unit'], values: readonly number[], atMost: number) =>
    measured({ measure, unit, values, budget: { of: 'value', atMost } })
  return [
    one('Node, bundle and native parts', 'MB', [bytes / 1e6], 120),
    one('the same compressed', 'MB', [Number(stdout) / 1e6], 34),
    one('start of an agent to ready', 'ms', await startTimes(stage, node), 150),
  ]
}

async function startTimes(stage: Stage, node: string): Promise<readonly number[]> {
  await stage.startRelay()
  await stage.prepare('near')
  const times: number[] = []
  for (let i = 0; i <= STARTS; i++) {
    const startedAt = monotonicMs()
    const agent = await stage.spawnAgent('near', { node })
    await agent.process.waitForOutput(/agent ready/)
    times.push(monotonicMs() - startedAt)
    await agent.process.stop()
  }
  // The first one reads the file from the disk and makes its ports.
  return times.slice(1)
}
