import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { sha256 } from '../../scripts/packaging/checksums.ts'
import { emulatorOf } from '../../scripts/packaging/emulator.ts'
import { ARCHITECTURES, PLATFORMS } from '../../scripts/packaging/platforms.ts'
import { transferBothWays } from '../scenario/transfer.ts'
import { World } from '../scenario/world.ts'
import { type Packaged, packaged } from './packaged.ts'

const run = promisify(execFile)
const MIB = 1024 * 1024
/** Programs of the other architecture run here in qemu, where it is. */
const OTHER = ARCHITECTURES.find(arch => arch !== process.arch) ?? 'arm64'
const { command, remedy } = await emulatorOf(OTHER)
const emulated = command ? test.serial : test.serial.skip
const where = command ? '' : ` (needs ${remedy})`

/** A program that starts in qemu what the Debian package installs. */
let wrapper = ''
let made: Packaged

test.before(async () => {
  made = await packaged(OTHER)
  if (!command) return
  const folder = await mkdtemp(join(tmpdir(), 'culvert-qemu-'))
  wrapper = join(folder, 'culvert')
  await run('dpkg-deb', ['--extract', made.deb, join(folder, 'root')])
  const program = [...command, join(folder, 'root/usr/lib/culvert/culvert')].join(' ')
  await writeFile(wrapper, `#!/bin/sh\nexec ${program} "$@"\n`, { mode: 0o755 })
  process.env.CULVERT_BINARY = wrapper
})

test.after.always(async () => {
  if (wrapper !== '') await rm(join(wrapper, '..'), { recursive: true })
})

test('package and archive for the other architecture are for it, and hold the same program', async t => {
  const { debian } = PLATFORMS[OTHER]
  t.is((await run('dpkg-deb', ['--field', made.deb, 'Architecture'])).stdout, `${debian}\n`)
  const program = sha256(await readFile(made.bin))
  const name = basename(made.bin)
  for (const unpacked of [
    `dpkg-deb --fsys-tarfile '${made.deb}' | tar -xO ./usr/lib/culvert/culvert`,
    `tar -xJOf '${made.tar}' '${name}/root/usr/lib/culvert/culvert'`,
  ]) {
    t.is((await run('sh', ['-c', `${unpacked} | sha256sum`])).stdout, `${program}  -\n`)
  }
  const listed = async (list: string) => (await run('sh', ['-c', list])).stdout.split('\n').toSorted()
  t.deepEqual(
    await listed(`tar -tJf '${made.tar}' | sed -n 's|^${name}/root/\\(.*[^/]\\)$|\\1|p'`),
    await listed(`dpkg-deb --fsys-tarfile '${made.deb}' | tar -t | sed -n 's|^\\./\\(.*[^/]\\)$|\\1|p'`),
  )
  await t.notThrowsAsync(run('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: dirname(made.bin) }))
})

emulated(`the program for the other architecture says so, and checks a config${where}`, async t => {
  const { packaged: isPackaged, arch } = JSON.parse((await run(wrapper, ['version', '--json'])).stdout)
  t.deepEqual([isPackaged, arch], [true, OTHER])
  await using world = await World.start({ lab: 'here', agents: { alice: {} }, relay: false })
  t.regex((await world.agent('alice').cli('check', '--config', world.agent('alice').configPath)).stdout, /: ok\n$/)
})

emulated(`relay and two agents of the other architecture carry 8 MiB both ways${where}`, async t => {
  await using world = await World.start({ lab: 'here', agents: {} })
  await world.startEchoes(['alice', 'bob'])
  const alice = world.agent('alice')
  const { socket } = await alice.client.connect('bob', 'echo')
  const { sent, received, bytes } = await transferBothWays(socket, 8 * MIB)
  t.deepEqual([received, bytes], [sent, 8 * MIB])
  t.is(alice.logged('no direct paths over UDX').length, 0)
})
