import { chown, mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { makeDirectory, writeFileAtomic } from '../../../../common/platform/atomic-file.ts'

async function inDirectory(run: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'culvert-atomic-'))
  try {
    await run(directory)
  } finally {
    await rm(directory, { recursive: true })
  }
}

test('a file is made with its mode, replaced, and leaves nothing beside it', async t => {
  await inDirectory(async directory => {
    const path = join(directory, 'key')
    await writeFileAtomic(path, 'one', 0o600)
    t.is((await stat(path)).mode & 0o777, 0o600)
    await writeFileAtomic(path, Buffer.from('two'), 0o640)
    t.is(await readFile(path, 'utf8'), 'two')
    t.is((await stat(path)).mode & 0o777, 0o640)
    t.deepEqual(await readdir(directory), ['key'])
  })
})

test('writes at the same time leave one of the contents, whole', async t => {
  await inDirectory(async directory => {
    const path = join(directory, 'state')
    const contents = Array.from({ length: 8 }, (_, i) => String(i).repeat(100_000))
    await Promise.all(contents.map(content => writeFileAtomic(path, content, 0o600)))
    t.true(contents.includes(await readFile(path, 'utf8')))
    t.deepEqual(await readdir(directory), ['state'])
  })
})

test('when it cannot be put in place, what was there stays and no new file is left behind', async t => {
  await inDirectory(async directory => {
    const inTheWay = join(directory, 'state')
    await mkdir(inTheWay)
    await t.throwsAsync(writeFileAtomic(inTheWay, 'x', 0o600), { code: 'EISDIR' })
    await t.throwsAsync(writeFileAtomic(join(directory, 'none', 'file'), 'x', 0o600), { code: 'ENOENT' })
    t.deepEqual(await readdir(directory), ['state'])
  })
})

const rootTest = process.getuid?.() === 0 ? test : test.skip

rootTest('what root writes belongs to whom the directory does', async t => {
  await inDirectory(async directory => {
    await chown(directory, 4_711, 4_712)
    await writeFileAtomic(join(directory, 'key'), 'x', 0o600)
    t.like(await stat(join(directory, 'key')), { uid: 4_711, gid: 4_712, mode: 0o100600 })
    await makeDirectory(join(directory, 'a', 'b'), 0o700)
    for (const made of ['a', 'a/b']) t.like(await stat(join(directory, made)), { uid: 4_711, gid: 4_712 })
  })
})
