import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import test, { type ExecutionContext } from 'ava'
import { CULVERT, culvert, startCulvert, temporaryHome } from './run-culvert.ts'

const QUIET = { stateDir: 'state', name: 'attic', nat: { portMapping: false }, lan: { discovery: false } }

async function startAgent(t: ExecutionContext, env = {}) {
  const home = await temporaryHome(t)
  const file = join(home, 'agent.json')
  await writeFile(file, JSON.stringify(QUIET))
  const child = startCulvert(['agent', '--config', file], env)
  t.teardown(() => child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stderr })[Symbol.asyncIterator]()
  const lineWith = async (part: string) => {
    for (;;) {
      const line = await lines.next()
      if (line.done) throw new RangeError(`the agent ended without a line with "${part}"`)
      if (line.value.includes(part)) return line.value
    }
  }
  return { home, file, child, lineWith }
}

test.serial('an agent answers, reads its config again on SIGHUP, and ends with 0 on SIGTERM', async t => {
  const { home, file, child, lineWith } = await startAgent(t)
  t.regex(await lineWith('agent ready'), /^\S+Z info {2}agent ready id=[a-z2-7]{52} name=attic/)
  const status = JSON.parse((await culvert(['status', '--json', '--config', file])).out)
  t.is(status.peer.name, 'attic')
  t.is(status.peer.id, JSON.parse((await culvert(['id', '--json', '--config', file])).out).id)

  await writeFile(file, JSON.stringify({ ...QUIET, name: 7 }))
  child.kill('SIGHUP')
  await lineWith('the config was not taken over')
  await writeFile(file, JSON.stringify({ ...QUIET, services: { web: { target: 'tcp://127.0.0.1:8080' } } }))
  child.kill('SIGHUP')
  await lineWith('config read again')
  const after = JSON.parse((await culvert(['status', '--json', '--config', file])).out)
  t.deepEqual(after.services, [{ name: 'web', target: 'tcp://127.0.0.1:8080' }])

  const listen = `unix:${join(home, 'x.sock')}`
  const peers = { tv: { id: 'a'.repeat(52) } }
  await writeFile(file, JSON.stringify({ ...QUIET, peers, forwards: [{ listen, to: 'tv/web' }] }))
  for (const removed of [false, true]) {
    if (removed) t.is((await culvert(['forward', '--remove', listen, '--config', file])).code, 0)
    child.kill('SIGHUP')
    await lineWith('config read again')
    const { forwards } = JSON.parse((await culvert(['status', '--json', '--config', file])).out)
    t.like(forwards, [{ listen, state: 'listening' }])
  }

  const second = await culvert(['agent', '--config', file])
  t.is(second.code, 1)
  t.regex(second.err, /another agent is running/)

  child.kill('SIGTERM')
  await once(child, 'exit')
  t.is(child.exitCode, 0)
  t.false((await readdir(join(home, 'state'))).includes('agent.sock'))
})

test.serial('under systemd, log lines carry their severity, also those that a faulty config gets', async t => {
  const home = await temporaryHome(t)
  const file = join(home, 'agent.json')
  await writeFile(file, JSON.stringify({ ...QUIET, name: 7 }))
  // What stands for the journal is known by its inode before the program starts.
  const journal = await open(join(home, 'journal'), 'w')
  const { dev, ino } = await journal.stat()
  const env = { ...process.env, JOURNAL_STREAM: `${dev}:${ino}`, NODE_V8_COVERAGE: '' }
  const child = spawn(CULVERT, ['agent', '--config', file], { env, stdio: ['ignore', 'ignore', journal.fd] })
  await once(child, 'exit')
  await journal.close()
  t.is(child.exitCode, 2)
  t.regex(await readFile(join(home, 'journal'), 'utf8'), /^<3>\S+agent\.json: name: 7 is no name; .+\n$/)
})
