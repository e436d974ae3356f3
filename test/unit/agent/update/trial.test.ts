import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { watchTrial } from '../../../../agent/update/trial.ts'
import { CulvertError } from '../../../../common/errors.ts'
import { exec } from '../../../lab/command.ts'
import { ProcessTable } from '../../../lab/lab-process.ts'
import { rootTest } from '../../../lab/root-test.ts'
import { startTrial } from './trial-machine.ts'

test('a version that works is kept, and a relay on the same machine takes it over', async t => {
  const machine = await startTrial(t)
  t.is((await machine.ended(watchTrial(machine.doors)))?.state, 'kept')
  t.is((await machine.versions.marks()).current, '0.2.0')
  t.deepEqual([machine.starts, machine.relayStarts], [1, 1])
})

test('a version that is mute is rolled back, and the relay is left alone', async t => {
  const machine = await startTrial(t)
  machine.works = false
  t.is((await machine.ended(watchTrial(machine.doors)))?.reason, '0.2.0 did not start, or hangs')
  t.deepEqual([machine.runs, machine.starts, machine.relayStarts], ['base', 2, 0])
})

test('what a process says is not believed that was not started for the trial', async t => {
  const machine = await startTrial(t)
  machine.liar = true
  t.is((await machine.ended(watchTrial(machine.doors)))?.state, 'rolled-back')
  t.is(machine.starts, 2)
})

test('a version that could not even be started may be tried again', async t => {
  const machine = await startTrial(t)
  machine.restartFault = new CulvertError('io', 'the agent could not be restarted: no systemd')
  const outcome = await machine.ended(watchTrial(machine.doors))
  t.like(outcome, { state: 'rolled-back', untried: true })
  t.deepEqual(await machine.versions.outcome(), outcome)
  t.is((await machine.versions.marks()).trial, undefined)
})

/** A disk of its own for versions, which a test may fill or close. */
async function smallDisk(t: ExecutionContext) {
  const processes = new ProcessTable()
  const home = await mkdtemp(join(tmpdir(), 'culvert-disk-'))
  const mount = async (...args: readonly string[]) => {
    const { code, stderr } = await exec(processes, 'mount', [...args, home])
    if (code !== 0) throw new Error(stderr)
  }
  await mount('-t', 'tmpfs', '-o', 'size=64k,mode=755', 'tmpfs')
  t.teardown(async () => {
    await exec(processes, 'umount', ['--lazy', home])
    await rm(home, { recursive: true })
  })
  return { home, close: () => mount('-o', 'remount,ro') }
}

rootTest(
  'on a disk that is full or takes no writes the version before is started again, whatever is written',
  async t => {
    for (const fault of ['full', 'read-only']) {
      const { home, close } = await smallDisk(t)
      const machine = await startTrial(t, home)
      machine.works = false
      if (fault === 'read-only') await close()
      else await t.throwsAsync(writeFile(join(home, 'filling'), Buffer.alloc(1 << 20)), { code: 'ENOSPC' })
      t.like(await machine.ended(watchTrial(machine.doors)), {
        state: 'rolled-back',
        reason: '0.2.0 did not start, or hangs',
      })
      t.deepEqual([machine.runs, machine.starts], ['base', 2], fault)
      t.regex(machine.lines.join(''), /that was not written down/, fault)
      t.is(await machine.versions.outcome(), undefined, fault)
    }
  },
)

rootTest('a version that works and cannot be kept is rolled back, and may be tried again', async t => {
  const { home, close } = await smallDisk(t)
  const machine = await startTrial(t, home)
  await close()
  t.like(await machine.ended(watchTrial(machine.doors)), { state: 'rolled-back', untried: true })
  t.is(machine.runs, 'base')
  t.regex(await readFile(join(home, 'trial'), 'utf8'), /^0\.2\.0 /)
})
