import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { emulatorOf } from '../../scripts/packaging/emulator.ts'
import { ARCHITECTURES } from '../../scripts/packaging/platforms.ts'
import { transferBothWays } from '../scenario/transfer.ts'
import { World } from '../scenario/world.ts'
import { packaged } from './packaged.ts'

const run = promisify(execFile)
const MIB = 1024 * 1024
/** Programs of the other architecture run here in qemu, where it is. */
const OTHER = ARCHITECTURES.find(arch => arch !== process.arch) ?? 'arm64'
const { command, remedy } = await emulatorOf(OTHER)
const emulated = command ? test.serial : test.serial.skip
const where = command ? '' : ` (needs ${remedy})`

/** A program that starts the packaged one in qemu. */
let wrapper = ''

test.before(async () => {
  if (!command) return
  const { file } = await packaged(OTHER, 'bin')
  const folder = await mkdtemp(join(tmpdir(), 'culvert-qemu-'))
  wrapper = join(folder, 'culvert')
  await writeFile(wrapper, `#!/bin/sh\nexec ${[...command, file].join(' ')} "$@"\n`, { mode: 0o755 })
  process.env.CULVERT_BINARY = wrapper
})

test.after.always(async () => {
  if (wrapper !== '') await rm(join(wrapper, '..'), { recursive: true })
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
