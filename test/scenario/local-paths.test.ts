import { rootTest } from '../lab/root-test.ts'
import { echoService, transferBothWays } from './transfer.ts'
import { World } from './world.ts'

const MIB = 1024 * 1024

rootTest('two hosts of one home meet on their LAN, over TCP', async t => {
  await using world = await World.start({
    lab: { sites: { home: { kind: 'eim-apdf', hosts: 2 } } },
    agents: {},
  })
  const target = await world.serve('echo', echoService)
  for (const name of ['alice', 'bob']) await world.prepare(name)
  await world.startAgent('bob', {
    host: 'home.2',
    config: { relay: { graceMs: 60_000 }, services: { echo: { target } } },
  })
  // Long enough for a busy machine: what is claimed here is that bytes wait for the LAN, not how long it takes.
  const alice = await world.startAgent('alice', { host: 'home', config: { relay: { graceMs: 60_000 } } })
  await alice.waitFor('the relay', ({ relays }) => relays[0]?.state === 'connected')
  const { socket } = await alice.client.connect('bob', 'echo')
  const { path } = await alice.waitForPeer('bob', 'over TCP', peer => peer.path?.kind === 'tcp')
  t.is(path?.how, 'lan')
  const { sent, received } = await transferBothWays(socket, 8 * MIB)
  t.is(received, sent)
  const { relayBytesIn, relayBytesOut } = await alice.peer('bob')
  t.is(relayBytesIn + relayBytesOut, 0)
})

rootTest('two sites that have only IPv6, each behind a stateful firewall, connect directly', async t => {
  await using world = await World.start({
    lab: { sites: { alice: { kind: 'eim-apdf', ipv6: 'only' }, bob: { kind: 'eim-apdf', ipv6: 'only' } } },
    relay: { listen: '[::]:443', stun: { addresses: ['2001:db8:ffff::10', '2001:db8:ffff::11'], port: 3478 } },
    agents: {},
  })
  const target = await world.serve('echo', echoService)
  for (const name of ['alice', 'bob']) await world.prepare(name)
  const relays = [{ url: `http://[${world.lab.relayHost.addresses.v6[0]}]:443` }]
  await world.startAgent('bob', { config: { relays, services: { echo: { target } } } })
  const alice = await world.startAgent('alice', { config: { relays } })
  await alice.waitFor('the relay', status => status.relays[0]?.state === 'connected')
  const { socket } = await alice.client.connect('bob', 'echo')
  const { sent, received } = await transferBothWays(socket, 8 * MIB)
  t.is(received, sent)
  await alice.waitForPeer('bob', 'direct', ({ path }) => path?.kind === 'tcp' && path.how === 'punched')
})
