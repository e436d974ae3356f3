import { rootTest } from '../lab/root-test.ts'
import { echoService, transferBothWays } from './transfer.ts'
import { World } from './world.ts'

const MIB = 1024 * 1024

rootTest('two homes between which only UDP is direct carry 8 MiB both ways over UDX', async t => {
  await using world = await World.start({ lab: { sites: { alice: 'eim-adf', bob: 'edm' } }, agents: {} })
  const target = await world.serve('echo', echoService)
  for (const name of ['alice', 'bob']) await world.prepare(name)
  const config = { services: { echo: { target } } }
  const [alice, bob] = await Promise.all([world.startAgent('alice', { config }), world.startAgent('bob', { config })])
  await Promise.all([alice.waitForRelay(), bob.waitForRelay()])
  const startedAt = performance.now()
  const { socket } = await alice.client.connect('bob', 'echo')
  await alice.waitForPeer('bob', 'over UDX', ({ path }) => path?.transport === 'udx')
  const { path } = await alice.peer('bob')
  const ms = Math.round(performance.now() - startedAt)
  const { sent, received, bytes } = await transferBothWays(socket, 8 * MIB)
  t.is(received, sent)
  t.is(bytes, 8 * MIB)
  t.log(`${path?.how} ${path?.local} to ${path?.remote} after ${ms} ms`)
})
