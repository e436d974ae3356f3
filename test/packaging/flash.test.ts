import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { guarded } from '../guard.ts'
import { exec, execOk } from '../lab/command.ts'
import { ProcessTable } from '../lab/lab-process.ts'
import { ROOT } from '../scenario/built-bundle.ts'
import { World } from '../scenario/world.ts'
import { baseSystem, machineTest } from './base-system.ts'
import { BootedMachine } from './booted-machine.ts'
import { packaged } from './packaged.ts'
import { readmeBlocks } from './readme-blocks.ts'

const flashTest = machineTest(['sfdisk', 'mkfs.vfat', 'mkfs.ext4', 'mcopy', 'debugfs', 'e2fsck'])

const SECTOR = 512
const FAT = { start: 8192, sectors: 65_536 }
const SYSTEM = { start: 73_728, sectors: 1_769_472 }

/** As of Raspberry Pi OS: a partition table, FAT to boot from, ext4 for the system, which this folder holds. */
async function makeImage(processes: ProcessTable, image: string, system: string): Promise<void> {
  const fat = `${image}.fat`
  await writeFile(fat, '')
  await truncate(fat, FAT.sectors * SECTOR)
  await execOk(processes, 'mkfs.vfat', [fat])
  await writeFile(image, '')
  await truncate(image, (SYSTEM.start + SYSTEM.sectors) * SECTOR)
  const lines = [FAT, SYSTEM].map(
    ({ start, sectors }, i) => `start=${start}, size=${sectors}, type=${i === 0 ? 'c' : '83'}`,
  )
  await execOk(processes, 'sfdisk', ['--quiet', image], { input: `label: dos\n${lines.join('\n')}\n` })
  const into = [`if=${fat}`, `of=${image}`, `bs=${SECTOR}`, `seek=${FAT.start}`, 'conv=notrunc', 'status=none']
  await execOk(processes, 'dd', into)
  const offset = `offset=${SYSTEM.start * SECTOR}`
  await execOk(processes, 'mkfs.ext4', ['-q', '-d', system, '-E', offset, image, `${SYSTEM.sectors / 2}k`])
}

/** What a card written with the image holds, as it is once mounted. */
async function unpack(processes: ProcessTable, image: string, root: string): Promise<void> {
  await mkdir(root)
  await execOk(processes, 'debugfs', ['-R', `rdump / ${root}`, `${image}?offset=${SYSTEM.start * SECTOR}`])
  await mkdir(join(root, 'boot/firmware'), { recursive: true })
  const from = ['-s', '-n', '-i', `${image}@@${FAT.start * SECTOR}`, '::']
  await execOk(processes, 'mcopy', [...from, join(root, 'boot/firmware')])
}

flashTest('a flashed card comes up connected by itself', async t => {
  await using stack = new AsyncDisposableStack()
  const processes = new ProcessTable()
  stack.defer(() => processes.stopAll())
  const world = stack.use(await World.start({ lab: { sites: { attic: 'eim-apdf', office: 'eim-eif' } }, agents: {} }))
  await world.prepare('office')
  const [checkout, root] = [join(world.directory, 'checkout'), join(world.directory, 'card')]
  const [image, config] = [join(checkout, 'raspios.img'), join(checkout, 'culvert.json')]
  const { deb } = await packaged('x64')
  // As after scripts/package, whose outcome is for a Pi.
  for (const folder of ['scripts', 'dist/package']) await mkdir(join(checkout, folder), { recursive: true })
  await cp(join(ROOT, 'scripts/flash-image'), join(checkout, 'scripts/flash-image'))
  await symlink(join(ROOT, 'scripts/check-boot-file'), join(checkout, 'scripts/check-boot-file'))
  await symlink(deb, join(checkout, 'dist/package', basename(deb)))
  await makeImage(processes, image, await baseSystem(processes))
  const part = { name: 'attic', relays: [{ url: world.relayUrl }], peers: { office: { id: world.idOf('office') } } }
  await writeFile(config, JSON.stringify(part))
  const awkward = 'mkdir -p "a folder"; export TMPDIR="$PWD/a folder"'
  const flash = ['-ec', `${awkward}\n${(await readmeBlocks()).flash}`]
  t.regex(await execOk(processes, 'sh', flash, { cwd: checkout }), /is in raspios\.img, with its config/)
  const again = await exec(processes, 'sh', flash, { cwd: checkout })
  t.regex(again.stderr, /culvert is in the image already/)

  await unpack(processes, image, root)
  const machine = stack.use(await BootedMachine.boot(processes, { root, namespace: world.lab.host('attic').namespace }))
  const connected = async () => {
    while (!/"state":"connected"/.test((await machine.tryRun('culvert status --json')).stdout));
  }
  await guarded(connected(), () => machine.root)
  t.deepEqual(await readdir(join(root, 'boot/firmware')), ['culvert.json.taken.txt'])
  const [id = ''] =
    /[a-z2-7]{52}/.exec(await readFile(join(root, 'boot/firmware/culvert.json.taken.txt'), 'utf8')) ?? []
  const office = await world.startAgent('office', { peers: [], config: { peers: { attic: { id } } } })
  t.true((await office.client.ping('attic')).rttMs > 0)

  t.is(await machine.run('dpkg --audit && dpkg --verify culvert && systemctl --failed --no-legend'), '')
  await machine.run('apt-get purge -y culvert 2>&1')
  t.notRegex(await machine.run('cat /etc/passwd /etc/group'), /culvert/)
})

flashTest('what is no image, or has no room, is told and left as it is', async t => {
  await using stack = new AsyncDisposableStack()
  const processes = new ProcessTable()
  stack.defer(() => processes.stopAll())
  const folder = await mkdtemp(join(tmpdir(), 'culvert-flash-'))
  stack.defer(() => rm(folder, { recursive: true }))
  const image = join(folder, 'x.img')
  await writeFile(image, Buffer.alloc(65_536))
  const flash = await exec(processes, join(ROOT, 'scripts/flash-image'), [image])
  t.is(flash.code, 1)
  t.regex(flash.stderr, /has no FAT and no Linux partition: is it an image of a whole card/)
  t.true((await readFile(image)).every(byte => byte === 0))

  const table = `label: dos\nstart=64, size=32, type=c\nstart=96, size=32, type=83\n`
  await execOk(processes, 'sfdisk', ['--quiet', image], { input: table })
  const before = await readFile(image)
  const noFat = await exec(processes, join(ROOT, 'scripts/flash-image'), [image])
  t.is(noFat.code, 1)
  t.regex(noFat.stderr, /^flash-image: the boot partition of \S+x\.img cannot be read \(.+\); take a fresh image\n$/)
  const config = join(folder, 'culvert.json')
  await writeFile(config, '{ "nmae": "attic" }')
  const faulty = await exec(processes, join(ROOT, 'scripts/flash-image'), [image, '--config', config])
  t.is(faulty.code, 1)
  t.regex(faulty.stderr, /culvert\.json: nmae: "nmae" is no known key; did you mean "name"\?\nflash-image: the device/)
  t.deepEqual(await readFile(image), before)
})
