import { execFile } from 'node:child_process'
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { PROGRAM_MARK } from '../../scripts/bundle.ts'
import { ARCHITECTURES } from '../../scripts/packaging/platforms.ts'
import { ROOT } from '../scenario/built-bundle.ts'
import { packaged, VERSION } from './packaged.ts'

const run = promisify(execFile)

async function sign(...args: readonly string[]) {
  const done = run(join(ROOT, 'scripts/sign-release'), args)
  return done.then(
    ({ stdout }) => ({ code: 0, out: stdout, err: '' }),
    (failed: { code: number; stdout: string; stderr: string }) => {
      return { code: failed.code, out: failed.stdout, err: failed.stderr }
    },
  )
}

test('what cannot be signed is told in one line, and nothing is written', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'culvert-sign-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const [key, program] = [join(folder, 'release.key'), join(folder, 'culvert-9.0.0-linux-x64')]
  t.regex((await sign('--help')).out, /^usage: /)
  t.regex((await sign('--make-key', key)).out, /^[a-z2-7]{52}\n$/)
  await copyFile(process.execPath, program)
  await writeFile(join(folder, 'words'), 'no key')
  const refusals = [
    [['--make-key', key], /release\.key is already there and is kept/],
    [['--key', join(folder, 'none'), program], /the key \S+none cannot be read: ENOENT/],
    [['--key', join(folder, 'words'), program], /words is no key file/],
    [['--key', key, join(folder, 'none')], /the program \S+none cannot be read/],
    [['--key', key, join(folder, 'words')], /words is no culvert; give what scripts\/package makes/],
    [['--key', key, program], /linux-x64 is no culvert/],
    [['--key', key, '--arch', 'x65', program], /Unknown option '--arch'/],
    [[], /nothing to do; see scripts\/sign-release --help/],
  ] as const
  for (const [args, words] of refusals) {
    const { code, out, err } = await sign(...args)
    t.deepEqual([code, out, err.split('\n').length], [1, '', 2], err)
    t.regex(err, words)
  }
  t.deepEqual((await readdir(folder)).sort(), ['culvert-9.0.0-linux-x64', 'release.key', 'words'])
})

test('a packaged program says which version it is without being run', async t => {
  const { bin } = await packaged(ARCHITECTURES.find(arch => arch === process.arch) ?? 'x64')
  const program = await readFile(bin)
  const at = program.indexOf(PROGRAM_MARK)
  t.is(program.toString('latin1', at, program.indexOf('\n', at)), `${PROGRAM_MARK}${VERSION}`)
})
