import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { sha256 } from '../../scripts/packaging/checksums.ts'
import { ARCHITECTURES } from '../../scripts/packaging/platforms.ts'
import { ROOT } from '../scenario/built-bundle.ts'
import { namesOf, packaged, sourceFiles } from './packaged.ts'

const run = promisify(execFile)
const HOST = ARCHITECTURES.find(arch => arch === process.arch) ?? 'x64'

test('two builds are the same, byte for byte, also by another user in another folder', async t => {
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
  }
  const build = 'umask 077; exec scripts/package --arch "$1" --format bin --format deb --out out'
  const first = await packaged(HOST, 'deb')
  await run('sh', ['-c', build, 'sh', HOST], { cwd: place, env })
  const { bin, deb, sbom } = namesOf(HOST)
  const again = async (name: string) => sha256(await readFile(join(place, 'out', name)))
  t.is(await again(deb), sha256(await readFile(first.file)))
  t.is(await again(sbom), sha256(await readFile(first.sbom)))
  t.is(await again(bin), sha256(await readFile(join(first.folder, bin))))
  await t.notThrowsAsync(run('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: join(place, 'out') }))
})

test('what the archive holds is installed and taken away again without a trace', async t => {
  const place = await mkdtemp(join(tmpdir(), 'culvert-install-'))
  t.teardown(() => rm(place, { recursive: true }))
  const { file } = await packaged(HOST, 'deb')
  // The archive has the files of the Debian package; to pack them once more would take a minute.
  await run('dpkg-deb', ['--extract', file, join(place, 'root')])
  await run('cp', ['-r', join(ROOT, 'packaging/tar/install.sh'), join(ROOT, 'packaging/deb'), place])
  const system = join(place, 'system')
  const install = (...args: readonly string[]) =>
    run(join(place, 'install.sh'), args, { env: { ...process.env, DESTDIR: system } })
  const filesOf = async (folder: string) =>
    (await run('find', ['.', '-type', 'f'], { cwd: folder })).stdout.split('\n').sort()
  await mkdir(system)
  await install()
  t.deepEqual(await filesOf(system), await filesOf(join(place, 'root')))
  await install()
  await install('--uninstall')
  t.deepEqual(await filesOf(system), [''])
  await t.throwsAsync(install('--force'), { message: /"--force" is not known/ })
})

test('the Debian package is within its size, belongs to root, and brings units and licences', async t => {
  const { file } = await packaged(HOST, 'deb')
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
