import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { listensOn } from '../../../../agent/update/listens-on.ts'

test('tells who listens on a socket from who does not, by whatever name of its directory', async t => {
  const place = await mkdtemp(join(tmpdir(), 'culvert-listens-'))
  t.teardown(() => rm(place, { recursive: true }))
  await mkdir(join(place, 'run'))
  await symlink('run', join(place, 'alias'))
  const socket = join(place, 'run/agent.sock')
  const server = createServer().listen(socket)
  t.teardown(() => server.close())
  await once(server, 'listening')
  const other = spawn('sleep', ['60'], { stdio: 'ignore' })
  t.teardown(() => other.kill('SIGKILL'))
  await once(other, 'spawn')
  t.true(await listensOn(process.pid, socket))
  t.true(await listensOn(process.pid, join(place, 'alias/agent.sock')))
  t.false(await listensOn(process.pid, join(place, 'agent.sock')))
  t.false(await listensOn(other.pid ?? 0, socket))
  other.kill('SIGKILL')
  await once(other, 'exit')
  t.false(await listensOn(other.pid ?? 0, socket))
})
