import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import type { PeerStatus } from '../../agent/control/status.ts'
import type { LabHost } from '../lab/lab-host.ts'
import type { ExecResult } from '../lab/lab-process.ts'
import { rootTest } from '../lab/root-test.ts'
import { culvertCommand } from './built-bundle.ts'
import { isDirect, START_MS, TestAgent } from './test-agent.ts'
import { World } from './world.ts'

const WEB_PORT = 8000
const PAGE = 'from nothing'

/** One device with an empty directory: what happens on it is what its owner types. */
class Device {
  readonly name: string
  readonly configPath: string
  readonly agent: TestAgent
  readonly #world: World
  readonly #host: LabHost

  constructor(world: World, host: string, name = host) {
    this.name = name
    this.#world = world
    this.#host = world.lab.host(host)
    const directory = join(world.directory, name)
    this.configPath = join(directory, 'agent.json')
    this.agent = new TestAgent({
      name,
      host: this.#host,
      configPath: this.configPath,
      socketPath: join(directory, 'state', 'agent.sock'),
      environment: {},
    })
  }

  get stateDir(): string {
    return join(this.#world.directory, this.name, 'state')
  }

  culvert(...args: readonly string[]): Promise<ExecResult> {
    return this.#host.exec(...culvertCommand(...args, '--config', this.configPath))
  }

  /** What a command prints that has to work. */
  async run(t: ExecutionContext, ...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.culvert(...args)
    t.is(code, 0, `culvert ${args.join(' ')}: ${stderr}`)
    return stdout
  }

  /** A page on this device's loopback, shared by what the owner types. */
  async serveWeb(t: ExecutionContext): Promise<void> {
    const directory = join(this.#world.directory, `${this.name}-web`)
    await mkdir(directory)
    const page = `require('http').createServer((q, r) => r.end('${PAGE}')).listen(${WEB_PORT}, '127.0.0.1', () => console.log('up'))`
    const web = this.#host.spawn(process.execPath, ['-e', page])
    await web.waitForOutput(/up/, { timeoutMs: START_MS })
    await this.run(t, 'share', 'web', String(WEB_PORT))
  }

  async curl(t: ExecutionContext, from: Device, port: number): Promise<void> {
    await from.run(t, 'forward', String(port), `${this.name}/web`)
    const { code, stdout, stderr } = await from.agent.host.exec('curl', [
      '-sS',
      '-m',
      '30',
      `http://127.0.0.1:${port}/`,
    ])
    t.deepEqual([code, stdout], [0, PAGE], `${stderr}\n${from.agent.log}\n${this.agent.log}`)
  }
}

/** The line that a relay prints for the config of agents. */
async function relayOf(world: World): Promise<{ readonly url: string; readonly id: string }> {
  const line = await world.relay?.waitForOutput(/\{ "url": .* \}/, { timeoutMs: START_MS })
  return JSON.parse(line?.[0] ?? '{}')
}

/** The relay's owner lists the network once; its devices, and who is invited, come by that. */
async function admitOnly(world: World, network: string): Promise<void> {
  await world.relay?.stop('SIGTERM', 10_000)
  const file = join(world.directory, 'relay.json')
  await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), admit: [network] }))
  const relay = world.lab.relayHost.spawn(...culvertCommand('relay', '--config', file))
  await relay.waitForOutput(/relay ready/, { timeoutMs: START_MS })
}

rootTest(
  'from empty directories: init, invite, join behind another NAT, and curl through a shared service',
  async t => {
    await using world = await World.start({ lab: { sites: { attic: 'eim-apdf', office: 'edm' } }, agents: {} })
    const [attic, office] = [new Device(world, 'attic'), new Device(world, 'office')]
    const { url, id } = await relayOf(world)

    const made = await attic.run(t, 'init', '--name', 'attic', '--relay', `${url}#${id}`, '--json')
    await admitOnly(world, JSON.parse(made).network)
    await attic.agent.start()
    await attic.agent.waitForRelay()
    const code = (await attic.run(t, 'invite', '--name', 'office')).trim()
    t.regex(code, /^culvert1[a-z2-7]{150,400}$/)
    await office.run(t, 'join', code)
    await office.agent.start()

    await attic.serveWeb(t)
    await attic.curl(t, office, 8001)
    await office.agent.waitForPeer('attic', 'on a direct path', isDirect)

    // What nobody has to edit: the relay came with the code, and the name with the entry.
    t.like(JSON.parse(await readFile(office.configPath, 'utf8')), { name: 'office', relays: [{ url, id }] })
    const { network } = await office.agent.status()
    t.like(network, { standing: 'member', members: 2, admin: false })

    // What else may be done with the code, or by who has none.
    const again = await office.culvert('join', code)
    t.is(again.code, 0)
    t.regex(again.stdout, /is in the network already/)
    const other = new Device(world, 'attic', 'other')
    const late = await other.culvert('join', code)
    t.is(late.code, 4)
    t.regex(late.stderr, /another device has used this join code already/)
    const refused = await office.culvert('invite')
    t.is(refused.code, 4)
    t.regex(refused.stderr, /may not let others into the network/)
  },
)

rootTest('a device on the same LAN joins with no relay anywhere, while its agent runs, and shares at once', async t => {
  const lab = { sites: { home: { kind: 'eim-apdf', hosts: 2 } } } as const
  await using world = await World.start({ lab, agents: {}, relay: false })
  const names = ['home', 'home.2'] as const
  const [attic, pi] = [new Device(world, names[0]), new Device(world, names[1])]
  await attic.run(t, 'init', '--name', 'home')
  await attic.agent.start()
  const code = (await attic.run(t, 'invite')).trim()

  // A first boot knows nothing but the code, and there is no network yet when it is taken in.
  const boot = join(world.directory, 'boot')
  await mkdir(boot)
  const file = join(boot, 'culvert.json')
  await writeFile(file, JSON.stringify({ join: code, name: 'home.2', stateDir: 'state' }))
  await pi.run(t, 'first-boot', '--file', file)
  t.deepEqual(await readdir(boot), ['culvert.json.taken.txt'])
  await pi.agent.start()
  await pi.agent.waitFor('its network', ({ network }) => network?.standing === 'member')
  await attic.agent.waitForPeer('home.2', 'known', () => true)

  await pi.serveWeb(t)
  await pi.curl(t, attic, 8001)
  t.false((await readdir(pi.stateDir)).includes('join.code'))
})

rootTest(
  'with the relay gone after they joined, devices that started anew reach each other on the LAN, at a mapped port, and through a member ' +
    'that carries',
  async t => {
    const sites = { attic: { kind: 'eim-apdf', upnp: true, hosts: 2 }, office: 'edm', shed: 'edm' } as const
    await using world = await World.start({ lab: { sites }, agents: {} })
    const attic = new Device(world, 'attic')
    const [office, shed] = [new Device(world, 'office'), new Device(world, 'shed')]
    const others = [new Device(world, 'attic.2', 'pi'), office]
    const all = [attic, ...others, shed]
    const { url, id } = await relayOf(world)
    await attic.run(t, 'init', '--name', 'attic', '--relay', `${url}#${id}`)
    const config = JSON.parse(await readFile(attic.configPath, 'utf8'))
    await writeFile(attic.configPath, JSON.stringify({ ...config, peerRelay: { enabled: true } }))
    await attic.agent.start()
    await attic.serveWeb(t)
    await attic.agent.waitFor('a port that is open', ({ nat }) => nat.portMapping.verified)
    for (const device of [...others, shed]) {
      const code = (await attic.run(t, 'invite', '--name', device.name)).trim()
      await device.run(t, 'join', code)
      await device.agent.start()
      await attic.curl(t, device, 8001)
    }
    await shed.serveWeb(t)
    // Who carries, and where, is in a record, which is made some seconds after the start.
    const byRecord = ({ knownFrom }: PeerStatus) => knownFrom.some(({ source }) => source === 'record')
    await Promise.all([office, shed].map(({ agent }) => agent.waitForPeer('attic', 'known by its record', byRecord)))
    await office.agent.waitForPeer('attic', 'at its port', ({ path }) => path?.how === 'mapped')

    await world.relay?.stop('SIGKILL', 10_000)
    await Promise.all(all.map(({ agent }) => agent.stop()))
    await attic.agent.start()
    await attic.agent.waitFor('its port again', ({ nat }) => nat.portMapping.tcp !== null)
    const hows = await Promise.all(
      others.map(async device => {
        await device.agent.start()
        await attic.curl(t, device, 8002)
        return (await device.agent.peer('attic')).path?.how
      }),
    )
    t.deepEqual(hows, ['lan', 'mapped'])

    // Behind its router nobody finds it but where it has gone by itself.
    await shed.agent.start()
    await shed.agent.waitForPeer('attic', 'at home', isDirect)
    await shed.curl(t, office, 8003)
    t.is((await office.agent.peer('shed')).path?.via, 'attic')
  },
)
