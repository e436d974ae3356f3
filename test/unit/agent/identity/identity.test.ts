import { execFileSync } from 'node:child_process'
import { chmod, chown, mkdir, mkdtemp, open, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { loadOrCreateIdentity, readIdentity } from '../../../../agent/identity/identity.ts'
import { decodeKeyFile, encodeKeyFile } from '../../../../agent/identity/key-file.ts'
import { keyPairFromSeed } from '../../../../common/platform/ed25519.ts'
import { createLog } from '../../../../common/platform/log.ts'
import { mutate, seeded } from '../config/seeded-mutations.ts'

const KEY = keyPairFromSeed(new Uint8Array(32).fill(7))

async function scene(t: ExecutionContext) {
  const home = await mkdtemp(join(tmpdir(), 'culvert-identity-'))
  t.teardown(() => rm(home, { recursive: true }))
  const lines: string[] = []
  const log = createLog({ level: 'debug', style: 'words', write: line => lines.push(line) })
  const stateDir = join(home, 'state')
  return { home, stateDir, lines, load: () => loadOrCreateIdentity(stateDir, { log }) }
}

const modeOf = async (path: string) => (await stat(path)).mode & 0o777

test('makes a key pair on the first start and finds it on the next', async t => {
  const { stateDir, load, lines } = await scene(t)
  const first = await load()
  t.is((await load()).id, first.id)
  t.is((await readIdentity(stateDir))?.id, first.id)
  t.is(await readFile(join(stateDir, 'identity.pub'), 'utf8'), `${first.id}\n`)
  t.deepEqual((await readdir(stateDir)).sort(), ['identity.key', 'identity.pub'])
  t.is(await modeOf(stateDir), 0o700)
  t.is(await modeOf(join(stateDir, 'identity.key')), 0o600)
  t.deepEqual(lines, [])
})

test('of two programs that start at the same moment, both get one identity', async t => {
  const { load } = await scene(t)
  const keys = await Promise.all(Array.from({ length: 8 }, load))
  t.is(new Set(keys.map(key => key.id)).size, 1)
})

test('a lost key is an error that says so, and no new one is made', async t => {
  const { stateDir, load } = await scene(t)
  await load()
  await rm(join(stateDir, 'identity.key'))
  await t.throwsAsync(load, {
    code: 'identity-unreadable',
    message: /identity\.pub but no identity\.key.*lost.*backup/,
  })
  t.deepEqual(await readdir(stateDir), ['identity.pub'])
})

test('kept ports without a key mean a lost key too', async t => {
  const { stateDir, load } = await scene(t)
  await mkdir(stateDir)
  await writeFile(join(stateDir, 'ports.json'), '{}')
  await t.throwsAsync(load, { code: 'identity-unreadable', message: /ports\.json but no identity\.key/ })
})

test('a key that was cut off is an error at every length, and the file stays as it is', async t => {
  const { stateDir, load } = await scene(t)
  await load()
  const path = join(stateDir, 'identity.key')
  const whole = await readFile(path, 'utf8')
  for (let length = 0; length < whole.length; length += 7) {
    await writeFile(path, whole.slice(0, length))
    await t.throwsAsync(load, { code: 'identity-unreadable', message: /identity\.key .*; put back a good copy/ })
    t.is(await readFile(path, 'utf8'), whole.slice(0, length))
  }
})

test('a key that others may read is closed to them, with a warning', async t => {
  const { stateDir, load, lines } = await scene(t)
  const key = await load()
  await chmod(join(stateDir, 'identity.key'), 0o644)
  t.is((await load()).id, key.id)
  t.is(await modeOf(join(stateDir, 'identity.key')), 0o600)
  t.regex(lines.join(''), /warn .*could be read by other users.* mode=644/)
})

test('the key of another identity is an error that names both', async t => {
  const { stateDir, load } = await scene(t)
  const former = await load()
  await writeFile(join(stateDir, 'identity.key'), encodeKeyFile(KEY), { mode: 0o600 })
  await t.throwsAsync(load, { code: 'identity-unreadable', message: new RegExp(`key of ${KEY.id}.*says ${former.id}`) })
  await rm(join(stateDir, 'identity.pub'))
  t.is((await load()).id, KEY.id)
})

/** A file that nobody but its owner may change the mode of, and a name for it in the state directory. */
async function led(home: string, stateDir: string, name: string, content: string) {
  const theirs = join(home, 'theirs')
  await writeFile(theirs, content, { mode: 0o755 })
  await chmod(theirs, 0o755)
  await rm(join(stateDir, name), { force: true })
  await symlink(theirs, join(stateDir, name))
  return theirs
}

test('a name that leads out of the state directory is not followed, and nothing changes where it leads', async t => {
  const { home, stateDir, load } = await scene(t)
  await load()
  const theirs = await led(home, stateDir, 'identity.key', encodeKeyFile(KEY))
  await t.throwsAsync(load, { code: 'identity-unreadable', message: /identity\.key is a symbolic link/ })
  t.is(await modeOf(theirs), 0o755)
  t.is(await readIdentity(stateDir), undefined)
  for (const device of ['/dev/zero', '/dev/urandom']) {
    await rm(join(stateDir, 'identity.key'))
    await symlink(device, join(stateDir, 'identity.key'))
    await t.throwsAsync(load, { code: 'identity-unreadable' })
    t.is(await readIdentity(stateDir), undefined)
  }
})

test('a pipe in place of the key is not waited for, nor read', async t => {
  const { stateDir, load } = await scene(t)
  await load()
  const path = join(stateDir, 'identity.key')
  const text = await readFile(path, 'utf8')
  await rm(path)
  execFileSync('mkfifo', [path])
  await t.throwsAsync(load, { code: 'identity-unreadable', message: /identity\.key is no plain file/ })
  await using pipe = await open(path, 'r+')
  await pipe.write(text)
  await t.throwsAsync(load, { code: 'identity-unreadable', message: /identity\.key is no plain file/ })
})

test('what identity.pub leads to is told to nobody', async t => {
  const { home, stateDir, load } = await scene(t)
  await load()
  await led(home, stateDir, 'identity.pub', 'root:secret')
  const followed = await t.throwsAsync(load)
  t.regex(followed?.message ?? '', /identity\.pub is a symbolic link/)
  await rm(join(stateDir, 'identity.pub'))
  await writeFile(join(stateDir, 'identity.pub'), 'root:secret')
  const told = await t.throwsAsync(load, { code: 'identity-unreadable', message: /says what is no peer id/ })
  t.notRegex(told?.message ?? '', /secret/)
})

const asRoot = process.geteuid?.() === 0 ? test : test.skip

asRoot("for root, a key in somebody's directory has to be that user's", async t => {
  const { stateDir, load } = await scene(t)
  const { id } = await load()
  const path = join(stateDir, 'identity.key')
  await chown(stateDir, 12_345, 12_345)
  await chmod(path, 0o644)
  await t.throwsAsync(load, { code: 'identity-unreadable', message: /another user than .*; run: chown 12345:12345 / })
  t.is(await modeOf(path), 0o644)
  await chown(path, 12_345, 12_345)
  await chown(join(stateDir, 'identity.pub'), 12_345, 12_345)
  t.is((await load()).id, id)
  t.is(await modeOf(path), 0o600)
})

test('a state directory that is ours is closed to others, and one that is not is left alone', async t => {
  const { home, stateDir, load, lines } = await scene(t)
  await mkdir(stateDir, { mode: 0o755 })
  await load()
  t.is(await modeOf(stateDir), 0o700)
  await chmod(home, 0o755)
  const log = createLog({ level: 'debug', style: 'words', write: line => lines.push(line) })
  await loadOrCreateIdentity(home, { log })
  t.is(await modeOf(home), 0o755)
  t.regex(lines.join(''), /other users may look into/)
})

test('a state directory that cannot be made is an error that names it', async t => {
  const { home, lines } = await scene(t)
  await writeFile(join(home, 'file'), '')
  const log = createLog({ level: 'debug', style: 'words', write: line => lines.push(line) })
  await t.throwsAsync(loadOrCreateIdentity(join(home, 'file', 'state'), { log }), {
    code: 'io',
    message: /cannot use the state directory .*file\/state/,
  })
})

test('the key file has this form', t => {
  t.is(
    encodeKeyFile(KEY),
    `culvert identity 1\nsecret a4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dq\npeer ${KEY.id}\nsum ${encodeKeyFile(KEY).slice(-17, -1)}\n`,
  )
  const back = decodeKeyFile(encodeKeyFile(KEY))
  t.is(typeof back === 'string' ? back : back.id, KEY.id)
})

test('a key file of a later version is told apart from a damaged one', t => {
  t.regex(String(decodeKeyFile('culvert identity 2\nx\n')), /this version does not know/)
  t.regex(String(decodeKeyFile('-----BEGIN PRIVATE KEY-----\n')), /no key file/)
})

test('no mutation of a key file yields another key', t => {
  const whole = encodeKeyFile(KEY)
  const random = seeded(3)
  for (let round = 0; round < 20_000; round++) {
    const mutant = mutate(whole, random)
    const key = decodeKeyFile(mutant)
    if (typeof key !== 'string' && mutant !== whole) t.fail(`seed 3, round ${round}: ${JSON.stringify(mutant)}`)
  }
  t.pass()
})
