import test from 'ava'
import { ProcessTable } from './lab-process.ts'

const node = (script: string) => new ProcessTable().start(process.execPath, ['-e', script])

test('waiting for output finds what was written before and what comes later, on either output', async t => {
  const running = node(`console.log('first'); process.stdin.on('data', b => console.error('heard ' + b))`)
  t.is((await running.waitForOutput(/fir(st)/))[1], 'st')
  t.truthy(await running.waitForOutput(/first/))
  const heard = running.waitForOutput(/heard you/)
  running.child.stdin.write('you')
  t.truthy(await heard)
  await running.stop()
})

test('waiting ends when the process does, with what it said', async t => {
  const running = node(`console.error('no such option'); process.exit(2)`)
  await t.throwsAsync(running.waitForOutput(/ready/), { code: 'process-exited', message: /exit 2.*no such option/s })
  await t.throwsAsync(running.waitForOutput(/ready/), { code: 'process-exited' })
})

test('waiting can be aborted', async t => {
  await using running = node('setInterval(() => {}, 1000)')
  const waiting = running.waitForOutput(/never/, { signal: AbortSignal.abort(new Error('enough')) })
  await t.throwsAsync(waiting, { message: 'enough' })
})

test('a process that ignores the request to end is killed after the grace', async t => {
  const running = node(`process.on('SIGTERM', () => {}); console.log('up'); setInterval(() => {}, 1000)`)
  await running.waitForOutput(/up/)
  t.deepEqual(await running.stop('SIGTERM', 50), { code: null, signal: 'SIGKILL' })
})

test('a program that is not there is an exit status', async t => {
  const { code, stderr } = await new ProcessTable().start('no-such-program', []).exited
  t.is(code, 127)
  t.regex(stderr, /ENOENT|EACCES/)
})
