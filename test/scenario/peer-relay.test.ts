import { rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { shortPeerId } from '../../common/wire/peer-id.ts'
import { rootTest } from '../lab/root-test.ts'
import { culvertCommand } from './built-bundle.ts'
import { isDirect, START_MS, type TestAgent } from './test-agent.ts'
import { World } from './world.ts'

const PAGE = 'a page of the other home\n'

/** What STUN is there stays when the relay of the agents is gone. */
async function startStun(world: World): Promise<string> {
  const { addresses } = world.lab.relayHost
  const file = join(world.directory, 'stun.json')
  const stateDir = join(world.directory, 'stun')
  await writeFile(
    file,
    JSON.stringify({ listen: '0.0.0.0:444', stun: { addresses: addresses.v4, port: 3488 }, stateDir }),
  )
  const relay = world.lab.relayHost.spawn(...culvertCommand('relay', '--config', file))
  await relay.waitForOutput(/relay ready/, { timeoutMs: START_MS })
  return `${addresses.v4[0]}:3488`
}

async function touch(from: TestAgent, to: string): Promise<void> {
  const { socket } = await from.client.connect(to, 'web')
  socket.destroy()
}

rootTest(
  'with every relay dead, homes that started anew meet through a peer that carries: curl between two hard NATs, and a direct ' +
    'path by punching between two easy ones',
  async t => {
    await using world = await World.start({
      lab: {
        sites: {
          alice: 'edm',
          bob: 'edm',
          carol: 'eim-apdf',
          dave: 'eim-apdf',
          mike: { kind: 'eim-apdf', upnp: true },
        },
      },
      agents: {},
    })
    const homes = ['alice', 'bob', 'carol', 'dave'] as const
    for (const name of [...homes, 'mike']) await world.prepare(name)
    const stun = await startStun(world)
    const path = join(world.directory, 'web.sock')
    const web = createServer((_request: IncomingMessage, response: ServerResponse) => response.end(PAGE)).listen(path)
    const common = {
      services: { web: { target: `unix:${path}` } },
      lan: { discovery: false },
      nat: { stun: [stun] },
      relay: { graceMs: 0 },
    }
    const forwards = [{ listen: 'tcp://127.0.0.1:8080', to: 'bob/web' }]
    const mike = await world.startAgent('mike', { config: { ...common, peerRelay: { enabled: true } } })
    await mike.waitFor('a port', ({ nat }) => nat.portMapping.verified)
    const agents = await Promise.all(
      homes.map(name => world.startAgent(name, { config: { ...common, ...(name === 'alice' ? { forwards } : {}) } })),
    )
    const told = new RegExp(`learnt where a peer is peer=${shortPeerId(world.idOf('mike'))} .*mapped`)
    await Promise.all(
      agents.map(async agent => {
        await agent.waitForRelay()
        await touch(agent, 'mike')
        await agent.process?.waitForOutput(told)
      }),
    )
    const [alice, bob, carol, dave] = agents as [TestAgent, TestAgent, TestAgent, TestAgent]

    await Promise.all(agents.map(agent => agent.stop()))
    await world.relay?.stop('SIGKILL', 10_000)
    for (const name of homes) await rm(join(world.directory, name, 'state', 'paths.json'), { force: true })
    await Promise.all(agents.map(agent => agent.start()))

    // Whom nobody can call is found where it has gone by itself.
    await Promise.all([bob, dave].map(agent => agent.waitForPeer('mike', 'at home', ({ path }) => path !== null)))

    const punched = (async () => {
      const { socket } = await carol.client.connect('dave', 'web')
      const peer = await carol.waitForPeer('dave', 'direct', isDirect)
      socket.destroy()
      return peer.path
    })()
    const since = performance.now()
    const { code, stdout, stderr } = await alice.host.exec('curl', [
      '-sS',
      '--max-time',
      '60',
      'http://127.0.0.1:8080/',
    ])
    t.is(code, 0, stderr)
    t.is(stdout, PAGE)
    t.log(`curl after ${Math.round(performance.now() - since)} ms`)

    t.like((await alice.peer('bob')).path, { kind: 'relay', transport: 'pipe', how: 'relay', via: 'mike' })
    t.is((await bob.peer('alice')).path?.via, 'mike')
    const { peerRelay } = await mike.status()
    t.true(peerRelay?.carried.some(({ from, to }) => from === 'alice' && to === 'bob'))
    t.true((peerRelay?.dayBytes ?? 0) > PAGE.length)
    t.is((await punched)?.how, 'punched')
    web.close()
  },
)
