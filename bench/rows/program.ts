import { stat } from 'node:fs/promises'
import { ARCHITECTURES } from '../../scripts/packaging/platforms.ts'
import { packaged } from '../../test/packaging/packaged.ts'
import { requireProgram } from '../carriers/required-program.ts'
import { monotonicMs } from '../programs/paced-stream.ts'
import { type Measured, measured } from '../result.ts'
import type { Row } from '../row.ts'
import { Stage } from '../stage.ts'

const STARTS = 9

/** The program as packages have it. */
export const program: Row = { name: 'program', needsRoot: false, seconds: 90, run }

async function run(): Promise<readonly Measured[]> {
  requireProgram('xz', 'xz-utils')
  requireProgram('dpkg-deb', 'dpkg')
  const host = ARCHITECTURES.find(arch => arch === process.arch) ?? 'x64'
  const { bin: file } = await packaged(host)
  await using stage = await Stage.local()
  const { size } = await stat(file)
  // Level 6, which packages have, takes off another 4 %, and half as much time again.
  const { stdout } = await stage.relayMachine.exec('sh', ['-c', 'xz -T0 -4 < "$1" | wc -c', 'sh', file])
  const one = (measure: string, unit: Measured['unit'], values: readonly number[], atMost: number) =>
    measured({ measure, unit, values, budget: { of: 'value', atMost } })
  return [
    one('the program as one file', 'MB', [size / 1e6], 120),
    one('the same compressed', 'MB', [Number(stdout) / 1e6], 34),
    one('start of an agent to ready', 'ms', await startTimes(stage, file), 150),
  ]
}

async function startTimes(stage: Stage, file: string): Promise<readonly number[]> {
  await stage.startRelay()
  await stage.prepare('near')
  const times: number[] = []
  for (let i = 0; i <= STARTS; i++) {
    const startedAt = monotonicMs()
    const agent = await stage.spawnAgent('near', { packaged: file })
    await agent.process.waitForOutput(/agent ready/)
    times.push(monotonicMs() - startedAt)
    await agent.process.stop()
  }
  // The first one reads the file from the disk and makes its ports.
  return times.slice(1)
}
