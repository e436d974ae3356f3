import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { Forwards } from '../../agent/service/forwards.ts'
import { CulvertError } from '../../common/errors.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { createLog } from '../../common/platform/log.ts'

async function createScene(t: ExecutionContext) {
  const home = await mkdtemp(join(tmpdir(), 'culvert-forward-'))
  const forwards = new Forwards({
    clock: systemClock,
    log: createLog({ level: 'error', style: 'words', write: () => undefined }),
    open: () => Promise.reject(new CulvertError('peer-offline', 'nobody is there')),
    peerNames: () => [],
  })
  t.teardown(async () => {
    await forwards.close()
    await rm(home, { recursive: true })
  })
  const specAt = (path: string) => ({ listen: { kind: 'unix', path }, to: { peer: 'laptop', service: 'ssh' } }) as const
  return { home, forwards, specAt }
}

test('a forward never removes a file that stands where it should listen', async t => {
  const { home, forwards, specAt } = await createScene(t)
  const path = join(home, 'precious')
  await writeFile(path, 'data')
  await t.throwsAsync(forwards.add(specAt(path), false), { code: 'port-in-use', message: /is no socket/ })
  t.is(await readFile(path, 'utf8'), 'data')
  await forwards.add(specAt(path), true)
  t.like(forwards.report()[0], { state: 'failed' })
  t.is(await readFile(path, 'utf8'), 'data')
})

test("a forward's socket is its owner's, and goes with the forward", async t => {
  const { home, forwards, specAt } = await createScene(t)
  const path = join(home, 'x.sock')
  await forwards.add(specAt(path), false)
  t.is((await stat(path)).mode & 0o777, 0o600)
  const local = connect({ path })
  await new Promise(resolve => local.resume().once('close', resolve))
  t.is(forwards.report()[0]?.lastFailure?.reason, 'nobody is there')
  t.true(await forwards.remove(`unix:${path}`))
  t.deepEqual(await readdir(home), [])
})

test('a forward does not take the socket of another program', async t => {
  const { home, forwards, specAt } = await createScene(t)
  const other = await createScene(t)
  const path = join(home, 'x.sock')
  await other.forwards.add(specAt(path), false)
  await t.throwsAsync(forwards.add(specAt(path), false), { code: 'port-in-use', message: /another program/ })
  await t.throwsAsync(forwards.add(specAt(join(home, 'none', 'x.sock')), false), {
    code: 'io',
    message: /cannot listen on unix:.*: the directory .*none does not exist; make it first/,
  })
})
