import { join } from 'node:path'
import { rootTest } from '../lab/root-test.ts'
import { echoService, RunningTransfer, transferBothWays } from './transfer.ts'
import { World } from './world.ts'

const MIB = 1024 * 1024
const PROGRAM = join(import.meta.dirname, 'udp-program.ts')
const SIZES = [0, 1_000, 1_420, 4_096, 65_507]

/** What the README tells the owner of a relay: no TCP segment between it and an agent is larger than this. */
const CLAMP = `
table inet mss {
  chain in { type filter hook prerouting priority mangle; tcp flags syn tcp option maxseg size set 1060; }
  chain out { type route hook output priority mangle; tcp flags syn tcp option maxseg size set 1060; }
}`

/** Two homes; the relay keeps its segments small. */
async function startHomes(): Promise<World> {
  const world = await World.start({ lab: { sites: { alice: 'eim-apdf', bob: 'eim-apdf' } }, agents: {} })
  await world.lab.relayHost.exec('sh', ['-c', `echo '${CLAMP}' | nft -f -`])
  return world
}

async function startAgents(world: World) {
  for (const name of ['alice', 'bob']) await world.prepare(name)
  const services = {
    bulk: { target: await world.serve('bulk', echoService) },
    echo: { target: 'udp://127.0.0.1:7000' },
  }
  const forwards = [{ listen: 'udp://127.0.0.1:7001', to: 'bob/echo' }]
  const [alice, bob] = await Promise.all([
    world.startAgent('alice', { config: { forwards } }),
    world.startAgent('bob', { config: { services } }),
  ])
  await Promise.all([alice.waitForRelay(), bob.waitForRelay()])
  await bob.host.spawn(process.execPath, [PROGRAM, 'echo', '7000']).waitForOutput(/ready/)
  return alice
}

for (const mtu of [1_280, 1_124]) {
  rootTest(
    `a line that silently swallows packets over ${mtu} bytes carries streams and datagrams over UDX`,
    async t => {
      await using world = await startHomes()
      await world.lab.site('alice').setMtu(mtu, { blackHole: true })
      const alice = await startAgents(world)
      const startedAt = performance.now()
      const { socket } = await alice.client.connect('bob', 'bulk')
      const { sent, received, bytes } = await transferBothWays(socket, 4 * MIB)
      t.is(received, sent)
      t.is(bytes, 4 * MIB)
      t.log(`4 MiB both ways ${Math.round(performance.now() - startedAt)} ms after the first request`)
      await alice.waitForPeer('bob', 'over UDX', ({ path }) => path?.transport === 'udx')
      const { stdout } = await alice.host.exec(process.execPath, [PROGRAM, 'ask', '7001', ...SIZES.map(String)])
      t.deepEqual(JSON.parse(stdout), SIZES)
    },
  )
}

rootTest('a line that begins to swallow packets over 1,124 bytes breaks no stream', async t => {
  await using world = await startHomes()
  const alice = await startAgents(world)
  const { socket } = await alice.client.connect('bob', 'bulk')
  await alice.waitForPeer('bob', 'over TCP', ({ path }) => path?.kind === 'tcp')
  const transfer = new RunningTransfer(socket)
  await transfer.more(MIB)
  const startedAt = performance.now()
  await world.lab.site('alice').setMtu(1_124, { blackHole: true })
  await transfer.more(8 * MIB)
  const ms = Math.round(performance.now() - startedAt)
  const { path } = await alice.peer('bob')
  const { sent, received } = await transfer.finish()
  t.is(received, sent)
  t.log(`8 MiB more after ${ms} ms, over ${path?.transport} ${path?.how}`)
})
