import { join } from 'node:path'
import { rootTest } from '../lab/root-test.ts'
import type { SiteKind } from '../lab/site-kind.ts'
import type { TestAgent } from './test-agent.ts'
import { World } from './world.ts'

const IMPOSTOR = join(import.meta.dirname, 'impostor.ts')
const ROUTER = join(import.meta.dirname, '..', 'lab', 'nat-pmp-router.ts')

/** Two homes of one carrier whose NAT leads nobody back to itself. */
async function neighbours(kinds: Readonly<Record<'alice' | 'bob', SiteKind>>): Promise<World> {
  return World.start({
    lab: {
      carriers: { isp: 'eim-apdf' },
      sites: { alice: { kind: kinds.alice, via: 'isp' }, bob: { kind: kinds.bob, via: 'isp' } },
    },
    agents: {},
  })
}

async function startRouter(world: World, site: string, mode: 'maps' | 'refuses'): Promise<void> {
  const { router, outside4 } = world.lab.site(site)
  const program = router.spawn(process.execPath, [ROUTER, outside4 ?? '', mode])
  await program.waitForOutput(/ready/)
}

rootTest('two homes of one carrier meet at a port that a router opens between the two NATs', async t => {
  await using world = await neighbours({ alice: 'edm', bob: 'edm' })
  await startRouter(world, 'bob', 'maps')
  for (const name of ['alice', 'bob']) await world.prepare(name)
  const [alice, bob] = await Promise.all(['alice', 'bob'].map(name => world.startAgent(name)))
  if (!alice || !bob) throw new Error('two were started')
  await Promise.all([alice, bob].map(agent => agent.waitForRelay()))
  await alice.client.ping('bob')
  const { path } = await alice.waitForPeer('bob', 'direct over TCP', peer => peer.path?.kind === 'tcp')
  t.is(`${path?.how} ${path?.remote}`, `mapped ${world.lab.site('bob').outside4}:${bob.ports.tcp}`)
  const { nat } = await bob.status()
  t.is(nat.portMapping.tcp, null, 'the world outside is not told')
  t.regex(nat.portMapping.problem ?? '', /behind another NAT/)
})

rootTest('two homes of one carrier meet by simultaneous open at addresses that their routers tell', async t => {
  await using world = await neighbours({ alice: 'eim-apdf', bob: 'eim-apdf' })
  await Promise.all(['alice', 'bob'].map(site => startRouter(world, site, 'refuses')))
  for (const name of ['alice', 'bob']) await world.prepare(name)
  const [alice, bob] = await Promise.all(['alice', 'bob'].map(name => world.startAgent(name)))
  if (!alice || !bob) throw new Error('two were started')
  for (const agent of [alice, bob]) {
    await agent.waitForRelay()
    await agent.waitFor('the carrier', ({ nat }) => nat.carrierNat && nat.tcp.mapping !== 'unknown')
  }
  await alice.client.ping('bob')
  const { path } = await alice.waitForPeer('bob', 'direct over TCP', peer => peer.path?.kind === 'tcp')
  t.is(path?.how, 'punched')
  t.true(path?.remote?.startsWith(`${world.lab.site('bob').outside4}:`), path?.remote ?? 'none')
})

rootTest(
  'two homes of one carrier that passes no TCP between them meet over UDP at addresses that their routers tell',
  async t => {
    await using world = await neighbours({ alice: 'eim-apdf', bob: 'eim-apdf' })
    const apart = ['ip', 'saddr', '100.64.0.0/10', 'ip', 'daddr', '100.64.0.0/10', 'meta', 'l4proto', 'tcp', 'drop']
    succeed(await world.lab.site('isp').router.exec('nft', ['insert', 'rule', 'inet', 'lab', 'forward', ...apart]))
    await Promise.all(['alice', 'bob'].map(site => startRouter(world, site, 'refuses')))
    for (const name of ['alice', 'bob']) await world.prepare(name)
    const [alice, bob] = await Promise.all(['alice', 'bob'].map(name => world.startAgent(name)))
    if (!alice || !bob) throw new Error('two were started')
    for (const agent of [alice, bob]) {
      await agent.waitForRelay()
      await agent.waitFor('the carrier', ({ nat }) => nat.carrierNat && nat.udp.mapping !== 'unknown')
    }
    await alice.client.ping('bob')
    const { path } = await alice.waitForPeer('bob', 'direct over UDP', peer => peer.path?.kind === 'udp')
    t.is(`${path?.how} ${path?.remote}`, `punched ${world.lab.site('bob').outside4}:${bob.ports.udp}`)
  },
)

/** But for the one about the relay of these worlds, which has neither TLS nor an id. */
function warnings(agent: TestAgent): readonly string[] {
  return agent.logged('warn ').filter(line => !line.includes('relays[0].url'))
}

/** Puts the second host of a home into a network of its own, routed by the home's router. */
async function secondVlan(world: World, site: string): Promise<void> {
  const { router } = world.lab.site(site)
  const second = world.lab.host(`${site}.2`)
  const ip = async (host: typeof router, ...args: readonly string[]) => succeed(await host.exec('ip', args))
  await ip(router, 'addr', 'add', '192.168.99.1/24', 'dev', 'lan')
  await ip(second, 'addr', 'flush', 'dev', 'eth0', 'scope', 'global')
  await ip(second, 'addr', 'add', '192.168.99.10/24', 'dev', 'eth0')
  await ip(second, 'route', 'add', 'default', 'via', '192.168.99.1')
}

function succeed({ code, stderr }: { readonly code: number | null; readonly stderr: string }): void {
  if (code !== 0) throw new Error(stderr)
}

rootTest(
  'two VLANs behind one public address meet on their LAN addresses where the router routes between them',
  async t => {
    await using world = await World.start({ lab: { sites: { home: { kind: 'edm', hosts: 2 } } }, agents: {} })
    await secondVlan(world, 'home')
    for (const name of ['alice', 'bob']) await world.prepare(name)
    const bob = await world.startAgent('bob', { host: 'home.2' })
    const alice = await world.startAgent('alice', { host: 'home' })
    await Promise.all([alice, bob].map(agent => agent.waitForRelay()))
    await alice.client.ping('bob')
    await alice.waitForPeer('bob', 'direct over TCP', ({ path }) => path?.kind === 'tcp')
    const { path } = await alice.peer('bob')
    t.regex(`${path?.how} ${path?.remote}`, /^lan 192\.168\.99\.10:/)
  },
)

rootTest('two VLANs that the router keeps apart stay on the relay, quietly', async t => {
  await using world = await World.start({ lab: { sites: { home: { kind: 'edm', hosts: 2 } } }, agents: {} })
  await secondVlan(world, 'home')
  const { router } = world.lab.site('home')
  const apart = ['ip', 'saddr', '192.168.0.0/16', 'ip', 'daddr', '192.168.0.0/16', 'drop']
  succeed(await router.exec('nft', ['insert', 'rule', 'inet', 'lab', 'forward', ...apart]))
  for (const name of ['alice', 'bob']) await world.prepare(name)
  // The VLANs of this lab share their wires, over which the two would find each other.
  const config = { lan: { discovery: false } }
  const bob = await world.startAgent('bob', { host: 'home.2', config })
  const alice = await world.startAgent('alice', { host: 'home', config })
  await Promise.all([alice, bob].map(agent => agent.waitForRelay()))
  await alice.client.ping('bob')
  const { path } = await alice.waitForPeer('bob', 'why', ({ why }) => why.startsWith('relayed: '))
  t.is(path?.kind, 'relay')
  t.deepEqual([...warnings(alice), ...warnings(bob)], [])
})

rootTest(
  'a stranger who has the address of the peer on our LAN is no path, gets no byte of ours, and is left in peace',
  async t => {
    await using world = await World.start({
      // Bob can be reached by the relay only, so there are tries again and again.
      lab: { sites: { alice: { kind: 'eim-apdf', hosts: 2 }, bob: 'https-only' } },
      agents: {},
    })
    const alias = async (host: string, address: string) =>
      succeed(await world.lab.host(host).exec('ip', ['addr', 'add', `${address}/24`, 'dev', 'eth0']))
    await alias('alice', '10.77.0.4')
    await alias('alice.2', '10.77.0.5')
    await alias('bob', '10.77.0.5')
    const port = 40_111
    const impostor = world.lab.host('alice.2').spawn(process.execPath, [IMPOSTOR, String(port)])
    await impostor.waitForOutput(/ready/)
    const target = await world.serve('echo', socket => socket.pipe(socket))
    for (const name of ['alice', 'bob']) await world.prepare(name)
    const bob = await world.startAgent('bob', { config: { listen: { tcp: port }, services: { echo: { target } } } })
    const alice = await world.startAgent('alice')
    await Promise.all([alice, bob].map(agent => agent.waitForRelay()))
    // An open stream makes the tries as frequent as they get: 3, 8 and 20 s apart.
    const { socket } = await alice.client.connect('bob', 'echo')
    await impostor.waitForOutput(/called/)
    await impostor.waitForOutput(/called\ncalled/)
    socket.destroy()
    const calls = impostor.stdout.split('\n').filter(line => line === 'called').length
    t.true(calls <= 4, `${calls} calls`)
    t.notRegex(impostor.stdout, /said/)
    t.is((await alice.peer('bob')).path?.kind, 'relay')
    t.deepEqual(warnings(alice), [])
  },
)
