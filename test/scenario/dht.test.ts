import { join } from 'node:path'
import { rootTest } from '../lab/root-test.ts'
import { echoService } from './transfer.ts'
import { World } from './world.ts'

const DHT = join(import.meta.dirname, '..', 'dht', 'serve.ts')

rootTest('two pinned peers that have no relay, and never met, find each other through the DHT', async t => {
  await using world = await World.start({
    lab: { sites: { alice: 'eim-apdf', bob: 'none' } },
    agents: {},
    relay: false,
  })
  const [address = ''] = world.lab.relayHost.addresses.v4
  const dht = world.lab.relayHost.spawn(process.execPath, [DHT, address, '16'])
  await dht.waitForOutput(/ready/)
  const [, first] = (await dht.waitForOutput(/node (\S+)/)) ?? []
  const config = { relays: [], relay: { graceMs: 0 }, dht: { enabled: true, bootstrap: [first] } }
  const services = { echo: { target: await world.serve('echo', echoService) } }
  for (const name of ['alice', 'bob']) await world.prepare(name)
  const bob = await world.startAgent('bob', { config: { ...config, services } })
  await bob.process?.waitForOutput(/told the DHT where we are items=1 nodes=\d+/)
  const alice = await world.startAgent('alice', { config })
  const since = performance.now()
  const { socket } = await alice.client.connect('bob', 'echo')
  const answered = new Promise(resolve => socket.once('data', resolve))
  socket.write('x')
  await answered
  const ms = Math.round(performance.now() - since)
  socket.destroy()
  t.is((await alice.peer('bob')).path?.how, 'public')
  t.is(alice.logged('from=dht').length, 1)
  t.log(`first byte after ${ms} ms`)
})
