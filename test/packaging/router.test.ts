import { cp, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import test from 'ava'
import { transferBothWays } from '../scenario/transfer.ts'
import { machineRefusal, machineTest } from './base-system.ts'
import { MemoryGroup } from './memory-group.ts'
import { packaged } from './packaged.ts'
import { asRun, readmeBlocks } from './readme-blocks.ts'
import { AGENT, running, ServiceScene } from './service-scene.ts'

/** What a home's router has: nothing comes in unasked, and the home shares one address. */
const FIREWALL = `flush ruleset
table inet filter {
  chain input { type filter hook input priority filter; policy drop;
    ct state established,related accept
    iifname != "wan" accept
    icmp type echo-request accept
  }
  chain forward { type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname != "wan" accept
  }
}
table ip nat {
  chain postrouting { type nat hook postrouting priority srcnat; oifname "wan" masquerade; }
}
`

const MIB = 1024 * 1024
/** A cheap router has as much. */
const MEMORY = 128 * MIB

let scene: ServiceScene
let memory: MemoryGroup | undefined
let before: readonly string[] = []
const bootTest = machineTest()

test.before(async () => {
  if (machineRefusal() !== undefined) return
  const { deb, tar } = await packaged('x64')
  memory = await MemoryGroup.make(MEMORY)
  scene = await ServiceScene.start({ isRouter: true, memory })
  const { machine, root } = scene
  await writeFile(join(root, 'etc/nftables.conf'), FIREWALL)
  await machine.run('nft -f /etc/nftables.conf')
  before = await scene.files()
  for (const file of [deb, tar]) await cp(file, join(root, 'root', basename(file)))
})

test.after.always(async () => {
  if (scene) await scene[Symbol.asyncDispose]()
  await memory?.[Symbol.asyncDispose]()
})

/** Takes the office in among the peers of this machine, and has it look for it. */
async function meetOffice(name: string): Promise<void> {
  const { machine, root, world } = scene
  const file = join(root, 'etc/culvert/agent.json')
  const config = JSON.parse(await readFile(file, 'utf8'))
  const services = { web: { target: 'tcp://127.0.0.1:8080' }, echo: { target: 'tcp://127.0.0.1:7000' } }
  await writeFile(file, JSON.stringify({ ...config, name, peers: { office: { id: world.idOf('office') } }, services }))
  await machine.run(`culvert check && systemctl reload ${AGENT}`)
  await scene.startOffice()
}

bootTest('on a router, behind its own firewall, the commands of the README let peers in directly', async t => {
  const { machine, world } = scene
  const { router } = await readmeBlocks()
  await machine.run(asRun(router, '/root', world.relayUrl))
  t.is(await machine.show(AGENT, 'ActiveState'), 'active')
  await meetOffice('router')
  const direct = await world.agent('office').waitForPeer('attic', 'direct', ({ path }) => path?.how === 'public')
  t.regex(direct.path?.remote ?? '', /:4182[23]$/)
  // The home behind it goes out as before.
  const { stdout } = await world.lab
    .host('attic')
    .exec('curl', ['-s', '-o', '/dev/null', '-w', '%{http_code}', world.relayUrl])
  t.regex(stdout, /^[2-4]\d\d$/)
})

bootTest('a router with 128 MB of memory carries four streams of 8 MiB at a time, both ways', async t => {
  const { machine, world } = scene
  const pid = await machine.until(AGENT, running)
  const office = world.agent('office').client
  const streams = await Promise.all(Array.from({ length: 4 }, () => office.connect('attic', 'echo')))
  for (const done of await Promise.all(streams.map(({ socket }) => transferBothWays(socket, 8 * MIB)))) {
    t.is(done.received, done.sent)
  }
  t.is(await machine.until(AGENT, running), pid)
  t.is((await memory?.killed()) ?? 0, 0)
  const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(await machine.run(`cat /proc/${pid}/status`)) ?? []
  t.log(
    `${Math.round(Number(kib) / 1024)} MiB at most${memory ? '' : '; this kernel lets nobody limit a machine here'}`,
  )
  await machine.run('apt-get purge -y culvert 2>&1')
})

bootTest('what the archive installs is a service, too, is brought up to date, and goes without a trace', async t => {
  const { machine, world } = scene
  const install = (option = '') => machine.run(`cd /root && ./culvert-*/install.sh ${option} 2>&1`)
  await machine.run('cd /root && tar -xf culvert-*.tar.xz')
  t.regex(await install(), /sudo culvert init --name NAME/)
  await machine.run(`culvert init --name attic --relay '${world.relayUrl}' 2>&1`)
  const id = await machine.run('culvert id')
  await machine.run(`systemctl enable --now ${AGENT} 2>&1`)
  const pid = await machine.until(AGENT, running)
  await install()
  await machine.until(AGENT, (now, state) => running(now, state) && now !== pid)

  await install('--uninstall')
  t.is((await machine.tryRun(`systemctl is-active ${AGENT}`)).stdout, 'inactive\n')
  t.regex(await install(), /there is a config; to run the agent:/)
  t.is(await machine.run('culvert id'), id)
  await machine.run(`systemctl enable --now ${AGENT} 2>&1`)
  await install('--purge')
  t.notRegex(await machine.run('cat /etc/passwd /etc/group'), /culvert/)
  t.deepEqual(await scene.filesSince(before), [])
})
