import { once } from 'node:events'
import { access, cp, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { guarded } from '../guard.ts'
import { makeCertificate } from '../relay/certificate.ts'
import { machineRefusal, machineTest } from './base-system.ts'
import { laterPackage } from './debian-package.ts'
import { packaged } from './packaged.ts'
import { asRun, readmeBlocks } from './readme-blocks.ts'
import { AGENT, RELAY, running, ServiceScene } from './service-scene.ts'

const ID = /[a-z2-7]{52}/

let scene: ServiceScene
let deb = ''
let before: readonly string[] = []
const bootTest = machineTest()

test.before(async () => {
  if (machineRefusal() !== undefined) return
  deb = (await packaged('x64')).deb
  scene = await ServiceScene.start()
  before = await scene.files()
  await cp(deb, join(scene.root, 'root/culvert.deb'))
})

test.after.always(async () => {
  if (scene) await scene[Symbol.asyncDispose]()
})

bootTest('the package asks nothing, runs nothing, and says what comes next', async t => {
  const { machine } = scene
  const said = await machine.run('apt-get install -y /root/culvert.deb 2>&1')
  t.regex(said, /sudo culvert init --name NAME --relay 'URL#ID'\r?\n {2}sudo systemctl enable --now culvert-agent/)
  for (const unit of [AGENT, RELAY]) {
    t.is((await machine.tryRun(`systemctl is-enabled ${unit}`)).stdout.trim(), 'disabled')
    t.is(await machine.show(unit, 'ActiveState'), 'inactive')
  }
})

bootTest('a file on the boot partition is taken in at the start, and the service is ready', async t => {
  const { machine } = scene
  const boot = join(machine.root, 'boot/firmware')
  await scene.writeBootFile({ nmae: 'attic' })
  await machine.run(`systemctl enable --now ${AGENT}`)
  t.is(await machine.show(AGENT, 'ActiveState'), 'inactive')
  t.regex(await readFile(join(boot, 'culvert.json.error.txt'), 'utf8'), /nmae: "nmae" is no known key/)
  t.regex(await machine.journal('culvert-first-boot'), /nmae: "nmae" is no known key; did you mean "name"\?/)

  await scene.writeBootFile()
  await machine.run(`systemctl start ${AGENT}`)
  t.is(await machine.show(AGENT, 'ActiveState'), 'active', await machine.journal(AGENT))
  t.deepEqual(await readdir(boot), ['culvert.json.taken.txt'])
  const [id = ''] = ID.exec(await readFile(join(boot, 'culvert.json.taken.txt'), 'utf8')) ?? []
  t.is((await machine.run('culvert id')).trim(), id)
  t.regex(await machine.show(AGENT, 'StatusText'), /^attic: \d of 1 peer connected/)
  await scene.startOffice()
})

bootTest('nothing runs as root, and members of the group command the agent', async t => {
  const { machine } = scene
  const pid = await machine.show(AGENT, 'MainPID')
  const status = await machine.run(`cat /proc/${pid}/status`)
  const uid = (await machine.run('id -u culvert')).trim()
  t.regex(status, new RegExp(`^Uid:\\t${uid}\\t${uid}\\t${uid}\\t${uid}$`, 'm'))
  t.regex(status, /^CapBnd:\t0+$/m)
  await machine.run('useradd --groups culvert member && useradd stranger')
  t.is((await machine.tryRun('setpriv --reuid=member --regid=member --init-groups culvert status')).code, 0)
  t.is((await machine.tryRun('setpriv --reuid=stranger --regid=stranger --init-groups culvert status')).code, 4)
})

bootTest('a changed config is taken over without a restart', async t => {
  const { machine } = scene
  const pid = await machine.show(AGENT, 'MainPID')
  const file = join(machine.root, 'etc/culvert/agent.json')
  const config = JSON.parse(await readFile(file, 'utf8')) as { readonly services: object }
  const more = { ...config.services, more: { target: 'tcp://127.0.0.1:9' } }
  await writeFile(file, JSON.stringify({ ...config, services: more }))
  await machine.run(`systemctl reload ${AGENT}`)
  const taken = async () => {
    while (!(await machine.run('culvert status --json')).includes('"more"'));
  }
  await guarded(taken(), () => 'the service did not appear')
  t.is(await machine.until(AGENT, running), Number(pid))
})

bootTest('a reload fails, and changes nothing, where the config has faults or is closed to the service', async t => {
  const { machine } = scene
  const pid = await machine.show(AGENT, 'MainPID')
  const file = join(machine.root, 'etc/culvert/agent.json')
  const good = await readFile(file, 'utf8')
  await writeFile(file, '{ "stateDir": "", "nmae": "x" }')
  t.not((await machine.tryRun(`systemctl reload ${AGENT}`)).code, 0)
  t.regex(await machine.journal(AGENT), /: nmae: "nmae" is no known key; did you mean "name"\?$/m)

  await writeFile(file, good)
  await machine.run('chown root:root /etc/culvert/agent.json && chmod 600 /etc/culvert/agent.json')
  const checked = await machine.tryRun('culvert check')
  t.is(checked.code, 2)
  t.regex(checked.stderr, /\(mode 600, owner 0:0\) cannot be read by the user culvert, as whom the service runs; run: /)
  t.not((await machine.tryRun(`systemctl reload ${AGENT}`)).code, 0)
  await machine.run(/run: (.*)$/m.exec(checked.stderr)?.[1] ?? 'false')
  await machine.run(`culvert check && systemctl reload ${AGENT}`)
  t.is(await machine.until(AGENT, running), Number(pid))
})

bootTest('a boot partition that cannot be written is read all the same, and that its file stays is told', async t => {
  const { machine } = scene
  await scene.writeBootFile({ services: { late: { target: 'tcp://127.0.0.1:9' } } })
  await machine.run('mount --bind /boot/firmware /boot/firmware && mount -o remount,ro,bind /boot/firmware')
  await machine.run(`systemctl restart ${AGENT}`)
  t.is(await machine.show(AGENT, 'ActiveState'), 'active')
  t.true((await machine.run('culvert status --json')).includes('"late"'))
  t.regex(await machine.journal('culvert-first-boot'), /it cannot be erased, so what is secret in it stays there/)
  await machine.run('umount /boot/firmware && rm /boot/firmware/culvert.json')
})

bootTest('an agent that is stuck, or killed, comes back and is reached again', async t => {
  const { machine } = scene
  const dropIn = '/etc/systemd/system/culvert-agent.service.d'
  await machine.run(`mkdir ${dropIn} && printf '[Service]\\nWatchdogSec=8\\n' > ${dropIn}/test.conf`)
  await machine.run(`systemctl daemon-reload && systemctl restart ${AGENT}`)
  let pid = await machine.until(AGENT, running)
  for (const signal of ['STOP', 'KILL']) {
    const before = pid
    const startedAt = performance.now()
    await machine.run(`kill -${signal} ${pid}`)
    pid = await machine.until(AGENT, (now, state) => running(now, state) && now !== before)
    t.log(`SIG${signal}: ready again after ${Math.round(performance.now() - startedAt)} ms`)
    await scene.answered()
  }
  t.regex(await machine.journal(AGENT), /Failed with result 'watchdog'/)
  await machine.run(`rm -r ${dropIn} && systemctl daemon-reload`)
})

bootTest('an upgrade keeps identity and config, and an open stream can be opened anew at once', async t => {
  const { machine, processes, world } = scene
  const kept = async () => machine.run('cat /etc/culvert/agent.json /var/lib/culvert/identity.key')
  const keptBefore = await kept()
  const pid = await machine.until(AGENT, running)
  await cp(await laterPackage(processes, deb, world.directory), join(scene.root, 'root/later.deb'))
  const stream = await world.agent('office').client.connect('attic', 'echo')
  stream.socket.write('x')
  await once(stream.socket, 'data')
  const cut = t.throwsAsync(stream.ended(), { code: 'session-closed' })
  await machine.run('apt-get install -y /root/later.deb 2>&1')
  t.not(await machine.until(AGENT, running), pid)
  await cut
  const again = await world.agent('office').client.connect('attic', 'echo')
  again.socket.write('y')
  t.is(String((await once(again.socket, 'data'))[0]), 'y')
  again.socket.destroy()
  t.is(await kept(), keptBefore)
  t.regex(await machine.run('dpkg-query -W culvert'), /\+later/)
})

bootTest('a removal keeps identity and config for the next installation, and a purge leaves nothing', async t => {
  const { machine } = scene
  const id = await machine.run('culvert id')
  await machine.run('apt-get remove -y culvert 2>&1')
  t.is((await machine.tryRun(`systemctl is-active ${AGENT}`)).stdout.trim(), 'inactive')
  t.like(await stat(join(machine.root, 'var/lib/culvert/identity.key')), { mode: 0o100600 })
  t.regex(await machine.run('apt-get install -y /root/culvert.deb 2>&1'), /there is a config; to run the agent:/)
  t.is(await machine.run('culvert id'), id)
  await machine.run(`systemctl enable --now ${AGENT}`)
  await machine.run('apt-get purge -y culvert 2>&1')
  await t.throwsAsync(access(join(machine.root, 'etc/culvert')), { code: 'ENOENT' })
  t.notRegex(await machine.run('cat /etc/passwd /etc/group /etc/shadow; id -un 0'), /culvert(?!.*member)/)
  t.deepEqual(await scene.filesSince(before), [])
})

bootTest('the commands of the README make an agent, and a relay with TLS', async t => {
  const { machine, world } = scene
  const home = join(machine.root, 'root')
  await rename(join(home, 'culvert.deb'), join(home, 'culvert_0_amd64.deb'))
  makeCertificate('relay.example.org', join(home, 'fullchain.pem'), join(home, 'privkey.pem'))
  const { install, change, relay } = await readmeBlocks()
  const here = (block: string) => asRun(block, '/root', world.relayUrl)

  t.regex(await machine.run(here(install)), /Active: active \(running\)/)
  await machine.run(here(change))
  await machine.run('apt-get purge -y culvert 2>&1')

  await machine.run(here(relay))
  t.is(await machine.show(RELAY, 'ActiveState'), 'active', await machine.journal(RELAY))
  t.regex(await machine.journal(RELAY), /\{ "url": "https:\/\/relay\.example\.org", "id": "[a-z2-7]{52}" \}/)
  t.is(
    (await machine.run('cat /proc/$(systemctl show -P MainPID culvert-relay)/status')).match(
      /^CapEff:\t0*(\w+)$/m,
    )?.[1],
    '400',
  )
  const asked = await world.lab
    .host('attic')
    .exec('curl', ['-sk', '-o', '/dev/null', '-w', '%{http_code}', 'https://127.0.0.1/'])
  t.regex(asked.stdout, /^[2-4]\d\d$/, await machine.journal(RELAY))
})
