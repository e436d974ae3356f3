import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { type UpdateOptions, update } from '../../../../agent/update/update.ts'
import { RELEASE_KEY, releaseOf } from '../../../update/test-release.ts'
import { startMachine, type TrialMachine } from './trial-machine.ts'

const PROGRAM = `#!/bin/sh\necho '{"version":"0.2.0"}'\n`

async function optionsFor({ versions }: TrialMachine, changes: Partial<UpdateOptions> = {}): Promise<UpdateOptions> {
  const source = join(versions.home, 'next.update')
  await writeFile(source, releaseOf('0.2.0', PROGRAM))
  return {
    source,
    accept: { keys: [RELEASE_KEY.id], arch: process.arch, version: '0.1.0', allowDowngrade: false },
    again: false,
    unproven: false,
    seconds: 180,
    socketPath: '/run/x.sock',
    restart: 'true',
    say: () => undefined,
    env: {},
    signal: new AbortController().signal,
    ...changes,
  }
}

test('an agent that says nothing is waited for no longer than it takes to know that', async t => {
  const machine = await startMachine(t)
  machine.stuck = true
  const error = await t.throwsAsync(machine.ended(update(machine.doors, await optionsFor(machine))), {
    code: 'update-refused',
  })
  t.regex(error?.message ?? '', /^the agent here does not answer, so nothing could tell whether the update works/)
})

test('without an agent that answers a version is taken at its word, which is told, and the relay runs it', async t => {
  const machine = await startMachine(t)
  machine.stuck = true
  await machine.versions.tell({ version: '0.1.5', before: '0.1.0', state: 'rolled-back', reason: 'mute', at: 1 })
  const result = await machine.ended(update(machine.doors, await optionsFor(machine, { unproven: true })))
  t.is(result.state, 'installed')
  t.like(await machine.versions.outcome(), { version: '0.2.0', before: '0.1.0', state: 'kept', reason: null })
  t.deepEqual([machine.starts, machine.relayStarts], [0, 1])
})

test('where nobody can be started who watches over a trial, the command does it', async t => {
  const machine = await startMachine(t)
  const result = await machine.ended(update(machine.doors, await optionsFor(machine)))
  t.is(result.state, 'kept')
  t.is((await machine.versions.marks()).current, '0.2.0')
  t.regex(machine.lines.join(''), /watched over from here, so let this command run.*there is no systemd-run/)
})

test('a version that was rolled back before it ran is tried again without a word, and another one is not', async t => {
  const machine = await startMachine(t)
  const past = { version: '0.2.0', before: '0.1.0', state: 'rolled-back', reason: 'no restart', at: 1 } as const
  await machine.versions.tell(past)
  await t.throwsAsync(update(machine.doors, await optionsFor(machine)), { message: /--again tries it once more/ })
  await machine.versions.tell({ ...past, untried: true })
  t.is((await machine.ended(update(machine.doors, await optionsFor(machine)))).state, 'kept')
})
