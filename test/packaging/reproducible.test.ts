import { execFile } from 'node:child_process'
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { sha256 } from '../../scripts/packaging/checksums.ts'
import { ARCHITECTURES } from '../../scripts/packaging/platforms.ts'
import { ROOT } from '../scenario/built-bundle.ts'
import { namesOf, packaged, sourceFiles } from './packaged.ts'

const run = promisify(execFile)
/** With their modes. */
const FILES = ['-printf', '%m %y %p\\n']
const HOST = ARCHITECTURES.find(arch => arch === process.arch) ?? 'x64'

test('two builds are the same, byte for byte, whatever the folder, the umask, and the habits of xz and tar', async t => {
  const place = await mkdtemp(join(tmpdir(), 'culvert another place-'))
  t.teardown(() => rm(place, { recursive: true }))
  for (const file of await sourceFiles()) {
    await mkdir(dirname(join(place, file)), { recursive: true })
    await copyFile(join(ROOT, file), join(place, file)).catch(() => undefined)
  }
  await run('cp', ['-a', join(ROOT, 'node_modules'), place])
  await symlink(join(ROOT, '.tools'), join(place, '.tools'))
  const { stdout: repository } = await run('git', ['rev-parse', '--absolute-git-dir'], { cwd: ROOT })
  const env = {
    ...process.env,
    GIT_DIR: repository.trim(),
    GIT_WORK_TREE: place,
    TZ: 'Pacific/Kiritimati',
    LC_ALL: 'C.UTF-8',
    HOME: place,
    XZ_DEFAULTS: '--check=crc32',
    XZ_OPT: '-9',
    TAR_OPTIONS: '--format=gnu --mode=a+w',
    DPKG_DEB_COMPRESSOR_TYPE: 'none',
  }
  // Each folder in it gets that, too.
  await chmod(place, 0o2755)
  const build = 'umask 077; exec scripts/package --quick --arch "$1" --out out'
  const first = await packaged(HOST)
  await run('sh', ['-c', build, 'sh', HOST], { cwd: place, env })
  const names = namesOf(HOST)
  for (const made of ['bin', 'deb', 'tar', 'sbom'] as const) {
    t.is(sha256(await readFile(join(place, 'out', names[made]))), sha256(await readFile(first[made])), made)
  }
  await t.notThrowsAsync(run('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: join(place, 'out') }))
})

test('what the archive holds is installed, as the package would, and taken away again without a trace', async t => {
  const place = await mkdtemp(join(tmpdir(), 'culvert-install-'))
  t.teardown(() => rm(place, { recursive: true }))
  const { deb, tar } = await packaged(HOST)
  const careful = (...command: readonly string[]) => {
    const env = { ...process.env, DESTDIR: system }
    return run('sh', ['-c', 'umask 077; exec "$@"', 'sh', ...command], { env })
  }
  const system = join(place, 'system')
  await careful('tar', '-xJf', tar, '-C', place, '--strip-components=1', '--no-same-permissions')
  const install = (...args: readonly string[]) => careful(join(place, 'install.sh'), ...args)
  const filesOf = async (folder: string) =>
    (await run('find', ['.', '-mindepth', '1', ...FILES], { cwd: folder })).stdout.split('\n').sort()
  await mkdir(system)
  await install()
  await run('dpkg-deb', ['--extract', deb, join(place, 'package')])
  t.deepEqual(await filesOf(system), await filesOf(join(place, 'package')))
  await install()
  await install('--uninstall')
  t.is((await run('find', [system, '-type', 'f'])).stdout, '')
  await t.throwsAsync(install('--force'), { message: /"--force" is not known/ })
})

test('the Debian package is within its size, belongs to root, and brings units and licences', async t => {
  const place = await mkdtemp(join(tmpdir(), 'culvert-deb-'))
  t.teardown(() => rm(place, { recursive: true }))
  // As it is published.
  await run(join(ROOT, 'scripts/package'), ['--arch', HOST, '--format', 'deb', '--out', place])
  const file = join(place, namesOf(HOST).deb)
  const { stdout } = await run('dpkg-deb', ['--contents', file])
  const lines = stdout.trim().split('\n')
  t.true(
    lines.every(line => /^[d-]rwxr-xr-x root\/root|^-rw-r--r-- root\/root/.test(line)),
    stdout,
  )
  for (const path of [
    'bin/culvert',
    'lib/culvert/culvert',
    'lib/systemd/system/culvert-agent.service',
    'share/doc/culvert/copyright',
  ]) {
    t.true(
      lines.some(line => line.endsWith(` ./usr/${path}`)),
      path,
    )
  }
  t.true((await readFile(file)).length <= 34e6)
})
