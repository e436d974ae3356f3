import { rootTest } from '../lab/root-test.ts'
import { echoService, transferBothWays } from './transfer.ts'
import { World } from './world.ts'

const MIB = 1024 * 1024
/** What the issue of an outage is allowed to cost: the agents are back this soon after the relay is. */
const BACK_MS = 5_000

rootTest('a relay that is killed and started again is found by its agents, and no stream is lost', async t => {
  await using world = await World.start({
    lab: { sites: { home: 'eim-apdf', attic: 'eim-apdf', office: 'edm', cabin: 'edm' } },
    agents: {},
  })
  const names = ['home', 'attic', 'office', 'cabin']
  for (const name of names) await world.prepare(name)
  const target = await world.serve('echo', echoService)
  const config = { services: { echo: { target } } }
  for (const name of names) await world.startAgent(name, { config })
  const agents = names.map(name => world.agent(name))
  const connected = () =>
    Promise.all(agents.map(agent => agent.waitFor('the relay', ({ relays }) => relays[0]?.state === 'connected')))
  await connected()

  const direct = await world.agent('home').client.connect('attic', 'echo')
  await world.agent('home').waitForPeer('attic', 'direct', ({ path }) => path !== null && path.kind !== 'relay')
  const before = (await world.agent('home').peer('attic')).path
  const relayed = await world.agent('office').client.connect('cabin', 'echo')
  await world.agent('office').waitForPeer('cabin', 'relayed', ({ path }) => path?.kind === 'relay')

  const transfers = [transferBothWays(direct.socket, 256 * MIB), transferBothWays(relayed.socket, 64 * MIB)]
  await world.agent('office').waitForPeer('cabin', 'in the middle', ({ bytesIn }) => bytesIn > MIB)
  await world.relay?.stop('SIGKILL', 1_000)
  await Promise.all(agents.map(agent => agent.waitFor('the loss', ({ relays }) => relays[0]?.state === 'connecting')))
  await world.startRelay()
  const readyAt = performance.now()
  await connected()
  const back = performance.now() - readyAt
  t.true(back < BACK_MS, `back after ${Math.round(back)} ms`)
  t.log(`four agents back ${Math.round(back)} ms after the relay`)

  for (const transfer of transfers) {
    const { sent, received } = await transfer
    t.is(received, sent)
  }
  const after = (await world.agent('home').peer('attic')).path
  t.is(after?.remote, before?.remote)
  t.true((after?.sinceS ?? 0) >= (before?.sinceS ?? 0), 'the direct path is still the same one')
})
