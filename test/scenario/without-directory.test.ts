import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { shortPeerId } from '../../common/wire/peer-id.ts'
import { rootTest } from '../lab/root-test.ts'
import { culvertCommand } from './built-bundle.ts'
import { writeHosts } from './disturbances.ts'
import { foundIn } from './network-files.ts'
import { START_MS, type TestAgent } from './test-agent.ts'
import { echoService } from './transfer.ts'
import { World } from './world.ts'

/** Milliseconds until a first byte came back. */
async function firstByteMs(from: TestAgent, to: string): Promise<number> {
  const since = performance.now()
  const { socket } = await from.client.connect(to, 'echo')
  const answered = new Promise(resolve => socket.once('data', resolve))
  socket.write('x')
  await answered
  socket.destroy()
  return Math.round(performance.now() - since)
}

async function changeConfig(agent: TestAgent, change: Readonly<Record<string, unknown>>): Promise<void> {
  const config = JSON.parse(await readFile(agent.configPath, 'utf8'))
  await writeFile(agent.configPath, JSON.stringify({ ...config, ...change }))
}

/** A second relay, on the same host. */
async function startOtherRelay(world: World): Promise<string> {
  const [address] = world.lab.relayHost.addresses.v4
  const file = join(world.directory, 'other-relay.json')
  const stateDir = join(world.directory, 'other-relay')
  await writeFile(file, JSON.stringify({ listen: '0.0.0.0:444', stun: false, stateDir, log: { level: 'debug' } }))
  const relay = world.lab.relayHost.spawn(...culvertCommand('relay', '--config', file))
  await relay.waitForOutput(/relay ready/, { timeoutMs: START_MS })
  return `http://${address}:444`
}

rootTest(
  'agents that started anew with their relay and DNS dead reach each other by their records: on the LAN, at a port that ' +
    'a router opened, and through a relay of the peer',
  async t => {
    await using world = await World.start({
      lab: { sites: { alice: { kind: 'eim-apdf', hosts: 2 }, bob: { kind: 'edm', upnp: true }, carol: 'edm' } },
      agents: {},
    })
    const others = ['bob', 'carol', 'dora'] as const
    const names = ['alice', ...others] as const
    const hostOf = (name: string) => (name === 'dora' ? 'alice.2' : name)
    for (const name of names) {
      await writeHosts({ world, name: hostOf(name) }, [`${world.lab.relayHost.addresses.v4[0]} relay.lab`])
      await world.prepare(name)
    }
    const [relay, other] = ['http://relay.lab:443', await startOtherRelay(world)]
    const relaysOf = (...urls: readonly string[]) => ({ relays: urls.map(url => ({ url })) })
    const services = { echo: { target: await world.serve('echo', echoService) } }
    const always = { services, lan: { discovery: false }, relay: { graceMs: 0 } }
    const start = (name: string, peers: readonly string[], relays: object, keep = false) =>
      world.startAgent(name, { host: hostOf(name), peers, keep, config: { ...always, ...relays } })
    const [alice, bob, , dora] = await Promise.all([
      start('alice', others, relaysOf(relay, other), true),
      start('bob', ['alice'], relaysOf(relay)),
      start('carol', ['alice'], relaysOf(other)),
      start('dora', ['alice'], relaysOf(relay)),
    ])
    const told = { bob: ' .*mapped', carol: ' ', dora: ' .*lan' }
    await Promise.all(
      others.map(name => {
        const line = `learnt where a peer is peer=${shortPeerId(world.idOf(name))}${told[name]}`
        return alice.process?.waitForOutput(new RegExp(line))
      }),
    )

    await Promise.all([alice, bob, dora].map(agent => agent.stop()))
    await world.relay?.stop('SIGKILL', 10_000)
    for (const name of names) await writeHosts({ world, name: hostOf(name) }, [])
    // Where it came through before is another memory.
    await rm(join(world.directory, 'alice', 'state', 'paths.json'), { force: true })
    await changeConfig(alice, relaysOf(relay))
    await Promise.all([bob.start(), dora.start()])
    await bob.waitFor('its port again', ({ nat }) => nat.portMapping.tcp !== null)

    await alice.start()
    const ms = await Promise.all(others.map(name => firstByteMs(alice, name)))
    const paths = await Promise.all(others.map(async name => (await alice.peer(name)).path))
    t.deepEqual(
      paths.map(path => path?.how),
      ['mapped', 'relay', 'lan'],
    )
    t.is(paths[1]?.remote, other.replace('http://', ''))
    t.log(others.map((name, at) => `${name} (${paths[at]?.how}) after ${ms[at]} ms`).join(', '))
    const { knownFrom } = await alice.peer('bob')
    t.true(knownFrom.some(({ source, ageS }) => source === 'record' && ageS !== null && ageS < 3600))
  },
)

rootTest(
  'a member that never met another one reaches it by what a third one told of it, when relay and third one are gone',
  async t => {
    await using world = await World.start({
      lab: { sites: { attic: 'eim-apdf', office: { kind: 'edm', upnp: true }, cellar: 'eim-apdf' } },
      agents: {},
    })
    for (const name of ['attic', 'office', 'cellar']) await world.prepare(name)
    await foundIn(world, 'attic', { office: [], cellar: [] }, 'all')
    const services = { echo: { target: await world.serve('echo', echoService) } }
    const config = { services, relay: { graceMs: 0 }, lan: { discovery: false } }
    const start = (name: string) => world.startAgent(name, { peers: [], config })
    const learnt = (agent: TestAgent, from: string) =>
      agent.process?.waitForOutput(
        new RegExp(`learnt where a peer is peer=${shortPeerId(world.idOf('office'))} from=${from} .*mapped`),
      )

    const [attic, office] = await Promise.all([start('attic'), start('office')])
    await Promise.all([attic, office].map(agent => agent.waitForRelay()))
    await attic.client.ping('office')
    await learnt(attic, 'peer')
    await office.stop()
    const cellar = await start('cellar')
    await cellar.waitForRelay()
    await cellar.client.ping('attic')
    await learnt(cellar, 'member')

    await Promise.all([attic.stop(), cellar.stop(), world.relay?.stop('SIGKILL', 10_000)])
    await office.start()
    await office.waitFor('its port again', ({ nat }) => nat.portMapping.tcp !== null)
    await cellar.start()
    const ms = await firstByteMs(cellar, 'office')
    const { path } = await cellar.peer('office')
    t.is(path?.how, 'mapped')
    t.log(`first byte after ${ms} ms`)
  },
)
