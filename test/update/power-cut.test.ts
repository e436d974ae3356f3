import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { BASE } from '../../agent/update/marks.ts'
import { rootTest } from '../lab/root-test.ts'
import { afterPowerCut, type DiskOp, readDisk, writeDisk } from '../power-cut/disk-model.ts'
import { traceDisk } from '../power-cut/disk-trace.ts'
import { sayingProgram, writeLauncher, writeProgram } from './test-launcher.ts'

const run = promisify(execFile)
const WRITER = join(import.meta.dirname, 'update-writer.ts')

/** What may run after a cut here: what ran last, or what comes next. */
function mayRun(ops: readonly DiskOp[], at: number): readonly string[] {
  const told = (part: readonly DiskOp[]) =>
    part.flatMap(op =>
      op.kind === 'told' ? [...op.text.matchAll(/^runs (\S+)$/gm)].map(([, version = '']) => version) : [],
    )
  return [told(ops.slice(0, at)).at(-1) ?? BASE, told(ops.slice(at))[0] ?? '0.4.0']
}

rootTest('a power cut at any step of an update, whatever the disk loses, leaves a version that runs', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'culvert-update-cut-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const base = join(directory, 'disk')
  await mkdir(base)
  const before = await readDisk(base)
  const { ops, code, stderr } = await traceDisk(base, process.execPath, [WRITER, base])
  t.is(code, 0, stderr)
  const renames = ops.filter(({ kind }) => kind === 'rename').length
  t.true(renames >= 10, `${renames}`)

  const place = join(directory, 'left')
  await mkdir(place)
  await writeProgram(join(place, 'base'), sayingProgram(BASE))
  const launcher = await writeLauncher(place, join(place, 'base/culvert'))
  let runs = 0
  const ran = new Set<string>()
  const cut = async (at: number, lost: readonly boolean[], rebooted: boolean) => {
    runs++
    const home = join(place, 'opt')
    await rm(home, { recursive: true, force: true })
    const left = afterPowerCut(base, before, ops.slice(0, at), change => lost[change % lost.length] !== true)
    await writeDisk(home, left, 0o755)
    // In a package it stands where a boot leaves nothing.
    if (rebooted) await rm(join(home, 'boot'), { force: true })
    const { stdout } = await run(launcher, ['agent'])
    const version = stdout.split(' ')[0] ?? ''
    ran.add(version)
    t.is(stdout, `${version} agent\n`)
    const onTrial = rebooted ? [] : ['0.2.0', '0.3.0', '0.4.0']
    t.true([...mayRun(ops, at), ...onTrial].includes(version), `${version} after ${at} of ${ops.length}`)
  }
  for (let at = 0; at <= ops.length; at++) {
    await cut(at, [true], true)
    await cut(at, [false], false)
  }
  const losses = fc.array(fc.boolean(), { minLength: 1, maxLength: 60 })
  await fc.assert(fc.asyncProperty(fc.nat({ max: ops.length }), losses, fc.boolean(), cut), { numRuns: 200 })
  t.deepEqual([...ran].toSorted(), ['0.2.0', '0.3.0', '0.4.0', BASE])
  t.log(`${ops.length} operations, ${runs} cuts`)
})
