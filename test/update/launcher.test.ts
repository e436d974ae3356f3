import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate, setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { BASE, type Trial, versionToRun } from '../../agent/update/marks.ts'
import { guarded } from '../guard.ts'
import { THIS_BOOT, writePlace, writeProgram } from './test-launcher.ts'

const run = promisify(execFile)
const OTHER_BOOT = '00000000-1111-2222-3333-444444444444'
const TERMS = { before: '0.1.0', seconds: 180, relay: true, peers: [], socket: '/x', restart: null }

async function thisMoment() {
  return { bootId: THIS_BOOT, uptimeS: Math.trunc(Number((await readFile('/proc/uptime', 'utf8')).split(' ')[0])) }
}

async function temporary(t: ExecutionContext): Promise<string> {
  const place = await mkdtemp(join(tmpdir(), 'culvert-launcher-'))
  t.teardown(() => rm(place, { recursive: true, force: true }))
  return place
}

test('the launcher runs what the marks say, whatever stands on the disk', async t => {
  const place = await temporary(t)
  const now = await thisMoment()
  const version = fc.constantFrom('0.1.5', '0.2.0', '0.3.0-rc.1')
  const trial = fc.record({
    version,
    bootId: fc.constantFrom(now.bootId, now.bootId, OTHER_BOOT),
    untilS: fc.constantFrom(0, now.uptimeS - 1, now.uptimeS + 3_600),
    terms: fc.constant(TERMS),
  })
  const marks = fc.record({
    current: fc.option(version, { nil: undefined }),
    trial: fc.option(trial, { nil: undefined }),
  })
  let turn = 0
  await fc.assert(
    fc.asyncProperty(marks, fc.uniqueArray(version), async (found, versions) => {
      const here = join(place, String(++turn))
      const launcher = await writePlace(here, versions, found)
      const isThere = (name: string) => versions.some(one => one === name)
      const { stdout } = await run(launcher, ['agent', '--config', 'a b'])
      t.is(stdout, `${versionToRun(found, now, isThere)} agent --config a b\n`, JSON.stringify({ found, versions }))
      // Whoever looks at a machine during a trial does so with the version before.
      const status = await run(launcher, ['status'])
      t.is(status.stdout, `${versionToRun({ ...found, trial: undefined }, now, isThere)} status\n`)
    }),
    { numRuns: 120 },
  )
})

test('marks that make no sense are passed over', async t => {
  const { bootId, uptimeS } = await thisMoment()
  for (const text of [
    '',
    '\n',
    '0.2.0',
    `0.2.0 ${bootId}`,
    `0.2.0 ${bootId} x\n`,
    `0.2.0 ${bootId} ${uptimeS}9x\n`,
    '\0',
  ]) {
    const place = await temporary(t)
    const launcher = await writePlace(place, ['0.2.0'], { current: undefined, trial: undefined })
    await writeFile(join(place, 'opt/trial'), text)
    t.is((await run(launcher, ['agent'])).stdout, `${BASE} agent\n`, JSON.stringify(text))
  }
})

/** Starts a version on trial, whose time is up in seconds, that does nothing at all. */
async function startHanging(t: ExecutionContext) {
  const place = await temporary(t)
  const { bootId, uptimeS } = await thisMoment()
  const trial: Trial = { version: '0.2.0', bootId, untilS: uptimeS + 6, terms: TERMS }
  const launcher = await writePlace(place, ['0.2.0'], { current: undefined, trial })
  await writeProgram(join(place, 'opt/versions/0.2.0'), '#!/bin/sh\necho hangs\nexec sleep 600\n')
  const child = spawn(launcher, ['agent'], { stdio: ['ignore', 'pipe', 'ignore'] })
  t.teardown(() => child.kill('SIGKILL'))
  const ended = once(child, 'exit')
  await once(child.stdout, 'data')
  return { place, child, ended }
}

/** Resolves when the launcher's child has ended, also by ending its parent. */
async function watcherEnded(pid: number): Promise<void> {
  for (;;) {
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'latin1').catch(() => '')
    const [watcher = ''] = children.trim().split(' ')
    const stat = await readFile(`/proc/${watcher}/stat`, 'latin1').catch(() => '')
    if (watcher === '' || / Z /.test(stat)) return
    await wait(100)
  }
}

test('a version that hangs is killed when its trial is over, though nobody watches; one that was kept is not', async t => {
  const [hangs, kept] = await Promise.all([startHanging(t), startHanging(t)])
  await rm(join(kept.place, 'opt/trial'))
  await guarded(hangs.ended, () => 'the version on trial still hangs')
  t.is(hangs.child.signalCode, 'SIGKILL')
  await guarded(watcherEnded(kept.child.pid ?? 0), () => 'the kept version is still watched over')
  await Promise.race([kept.ended, setImmediate()])
  t.is(kept.child.signalCode, null)
})
