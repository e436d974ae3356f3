import { existsSync } from 'node:fs'
import { rootTest } from '../lab/root-test.ts'
import { echoService } from './transfer.ts'
import { World } from './world.ts'

const STOP_MS = 3_000

rootTest('SIGTERM takes the port mappings back, tells the peers, and ends agent and relay with 0 in 3 s', async t => {
  await using world = await World.start({
    lab: { sites: { alice: { kind: 'eim-apdf', upnp: true }, bob: 'eim-apdf' } },
    agents: {},
  })
  for (const name of ['alice', 'bob']) await world.prepare(name)
  const target = await world.serve('echo', echoService)
  await world.startAgent('bob', { config: { services: { echo: { target } } } })
  const alice = await world.startAgent('alice', { keep: true })
  const bob = world.agent('bob')
  await alice.waitFor('its mappings', ({ nat }) => nat.portMapping.tcp !== null && nat.portMapping.udp !== null)
  const { tcp, udp } = alice.ports
  const mappings = async () => {
    const { stdout } = await world.lab.site('alice').router.exec('nft', ['list', 'ruleset'])
    return [`:${tcp}`, `:${udp}`].filter(port => stdout.includes(port)).length
  }
  t.is(await mappings(), 2, 'the router has both mappings')
  const { socket } = await alice.client.connect('bob', 'echo')
  const closed = new Promise<void>(resolve => socket.once('close', () => resolve()))
  socket.on('error', () => undefined)
  socket.resume()
  await bob.waitForPeer('alice', 'connected', ({ state }) => state === 'connected')

  const left = bob.waitForPeer('alice', 'gone', ({ state, streams }) => state !== 'connected' && streams === 0, STOP_MS)
  const { code, ms } = await alice.stop()
  t.is(code, 0)
  t.true(ms < STOP_MS, `${ms} ms`)
  await left
  await closed
  t.is(await mappings(), 0, 'the router has none of them any more')
  t.false(existsSync(alice.socketPath), 'the control socket is gone')

  const lost = bob.waitFor('the relay going', ({ relays }) => relays[0]?.state !== 'connected')
  const startedAt = performance.now()
  const relay = await world.relay?.stop('SIGTERM', 10_000)
  t.is(relay?.code, 0)
  t.true(performance.now() - startedAt < STOP_MS)
  await lost
  t.log(`agent ended in ${ms} ms`)
})
