import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { whyUnreadable } from '../../../../common/platform/service-reader.ts'

const rootTest = process.geteuid?.() === 0 ? test : test.skip

rootTest('root is told what another user cannot read, and whether a directory is in the way', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'culvert-reader-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const file = join(directory, 'x.json')
  await writeFile(file, '{}')
  await chmod(directory, 0o755)
  await chmod(file, 0o644)
  t.is(await whyUnreadable(file, 'daemon'), undefined)
  await chmod(file, 0o600)
  t.deepEqual(await whyUnreadable(file, 'daemon'), { value: 'mode 600, owner 0:0', closed: false })
  t.is(await whyUnreadable(file, 'root'), undefined)
  await chmod(file, 0o644)
  await chmod(directory, 0o700)
  t.deepEqual(await whyUnreadable(file, 'daemon'), { value: 'mode 644, owner 0:0', closed: true })
})

rootTest('of what is not there, or of a user that is not known, nothing is said', async t => {
  t.is(await whyUnreadable('/nowhere/x.json', 'daemon'), undefined)
  t.is(await whyUnreadable('/etc/shadow', 'no-such-user'), undefined)
})
