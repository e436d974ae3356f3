import { rootTest } from '../lab/root-test.ts'
import { echoService, transferBothWays } from './transfer.ts'
import { World } from './world.ts'

const MIB = 1024 * 1024

rootTest('a transfer that began on the relay moves to a direct path, unchanged', async t => {
  await using world = await World.start({
    // Slow enough for the transfer to last until a direct path is there.
    lab: { sites: { alice: { kind: 'eim-apdf', delayMs: 20 }, bob: { kind: 'eim-apdf', delayMs: 20 } } },
    agents: {},
  })
  for (const name of ['alice', 'bob']) await world.prepare(name)
  const target = await world.serve('echo', echoService)
  const relay = { graceMs: 0 }
  await world.startAgent('bob', { config: { relay, services: { echo: { target } } } })
  const alice = await world.startAgent('alice', { config: { relay } })
  await alice.waitFor('the relay', ({ relays }) => relays[0]?.state === 'connected')
  const { socket } = await alice.client.connect('bob', 'echo')
  const { sent, received } = await transferBothWays(socket, 32 * MIB)
  t.is(received, sent)
  const { path, relayBytesOut, bytesOut } = await alice.peer('bob')
  t.not(path?.kind, 'relay')
  t.true(relayBytesOut > 0, 'some bytes went over the relay')
  t.true(relayBytesOut < bytesOut, 'and not all')
  t.log(`${relayBytesOut} of ${bytesOut} bytes over the relay`)
})

rootTest('a session that lost its direct path goes on over the relay, and gets off it again by itself', async t => {
  await using world = await World.start({ lab: { sites: { alice: 'edm', bob: 'eim-eif' } }, agents: {} })
  for (const name of ['alice', 'bob']) await world.prepare(name)
  const target = await world.serve('echo', echoService)
  await world.startAgent('bob', { config: { services: { echo: { target } } } })
  const alice = await world.startAgent('alice')
  await alice.waitFor('the relay', ({ relays }) => relays[0]?.state === 'connected')
  const { socket } = await alice.client.connect('bob', 'echo')
  await alice.waitForPeer('bob', 'over UDP', ({ path }) => path?.kind === 'udp')
  const transfer = transferBothWays(socket, 96 * MIB)
  await alice.waitForPeer('bob', 'in the middle', ({ bytesIn }) => bytesIn > MIB)

  await world.lab.site('alice').blockUdp()
  const blockedAt = performance.now()
  await alice.waitForPeer('bob', 'over the relay', ({ path }) => path?.kind === 'relay', 10_000)
  t.log(`over the relay ${Math.round(performance.now() - blockedAt)} ms after UDP was blocked`)
  await world.lab.site('alice').unblockUdp()
  const freeAt = performance.now()
  await alice.waitForPeer('bob', 'over UDP again', ({ path }) => path?.kind === 'udp', 70_000)
  t.log(`direct again ${Math.round(performance.now() - freeAt)} ms after UDP was let through`)
  const { sent, received } = await transfer
  t.is(received, sent)
})
