import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { keepPendingJoin, PendingJoin } from '../../../../agent/join/pending-join.ts'
import { CulvertError, type ErrorCode, systemCodeOf } from '../../../../common/errors.ts'
import { createLog } from '../../../../common/platform/log.ts'
import { FakeClock } from '../../fake-clock.ts'

/** A device with a code, whose tries fail like this. */
async function scene(t: ExecutionContext, failure: ErrorCode) {
  const stateDir = await mkdtemp(join(tmpdir(), 'culvert-pending-'))
  t.teardown(() => rm(stateDir, { recursive: true }))
  await keepPendingJoin(stateDir, 'culvert1code')
  const clock = new FakeClock()
  let tries = 0
  let lines = 0
  let said = Promise.withResolvers<void>()
  const write = () => {
    lines++
    said.resolve()
    said = Promise.withResolvers()
  }
  const pending = new PendingJoin({
    stateDir,
    clock,
    log: createLog({ level: 'warn', style: 'words', write }),
    join: () => Promise.reject(new CulvertError(failure, `no, for the time ${++tries}`)),
  })
  t.teardown(() => pending.close())
  const next = said.promise
  await pending.start()
  if (lines === 0) await next
  return {
    clock,
    tries: () => tries,
    nextLine: () => said.promise,
    code: () =>
      readFile(join(stateDir, 'join.code'), 'utf8').catch((thrown: unknown) => {
        if (systemCodeOf(thrown) === 'ENOENT') return undefined
        throw thrown
      }),
  }
}

for (const failure of ['not-authorized', 'peer-refused', 'peer-unreachable', 'wire-malformed', 'busy'] as const) {
  test(`a code is kept, and tried again, after ${failure}`, async t => {
    const { clock, tries, nextLine, code } = await scene(t, failure)
    for (let round = 2; round < 6; round++) {
      const line = nextLine()
      clock.advance(300_000)
      await line
      t.is(tries(), round)
    }
    t.is(await code(), 'culvert1code\n')
  })
}

test('a code that the inviter itself refuses is erased', async t => {
  const { clock, tries, code } = await scene(t, 'invite-refused')
  while ((await code()) !== undefined) await new Promise(resolve => setImmediate(resolve))
  clock.advance(600_000)
  t.is(tries(), 1)
})
