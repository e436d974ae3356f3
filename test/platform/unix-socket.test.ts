import { once } from 'node:events'
import { lstat, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { answersOnSocketFile, listenOnSocketFile } from '../../common/platform/unix-socket.ts'

async function temporaryHome(t: ExecutionContext): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'culvert-unix-'))
  t.teardown(() => rm(home, { recursive: true }))
  return home
}

async function stopped(server: ReturnType<typeof createServer>): Promise<void> {
  await new Promise(resolve => server.close(resolve))
}

test('the socket is open to its owner only, and goes with its server', async t => {
  const home = await temporaryHome(t)
  const path = join(home, 'x.sock')
  const before = process.umask()
  const server = createServer()
  await listenOnSocketFile(server, path)
  t.is((await stat(path)).mode & 0o777, 0o600)
  t.is(process.umask(), before)
  t.true(await answersOnSocketFile(path))
  await stopped(server)
  t.deepEqual(await readdir(home), [])
  t.false(await answersOnSocketFile(path))
})

test('a socket that nobody answers on is replaced', async t => {
  const home = await temporaryHome(t)
  const path = join(home, 'stale.sock')
  const leaver = createServer().listen(join(home, 'other.sock'))
  await once(leaver, 'listening')
  await rename(join(home, 'other.sock'), path)
  await stopped(leaver)
  t.false(await answersOnSocketFile(path))
  const server = createServer()
  await listenOnSocketFile(server, path)
  t.true(await answersOnSocketFile(path))
  await stopped(server)
})

test('a socket that answers stays as it is', async t => {
  const path = join(await temporaryHome(t), 'x.sock')
  const first = createServer()
  await listenOnSocketFile(first, path)
  await t.throwsAsync(listenOnSocketFile(createServer(), path), { code: 'port-in-use', message: /another program/ })
  t.true(await answersOnSocketFile(path))
  await stopped(first)
})

test('a file, a link or a directory in its place is never removed', async t => {
  const home = await temporaryHome(t)
  const [file, link] = [join(home, 'file'), join(home, 'link')]
  await writeFile(file, 'precious')
  await symlink(file, link)
  for (const path of [file, link, home]) {
    await t.throwsAsync(
      listenOnSocketFile(createServer(), path),
      { code: 'port-in-use', message: /is no socket/ },
      path,
    )
  }
  t.is(await readFile(file, 'utf8'), 'precious')
  t.true((await lstat(link)).isSymbolicLink())
})
