import { access } from 'node:fs/promises'
import type { ExecutionContext } from 'ava'
import type { PeerStatus } from '../../agent/control/status.ts'
import { CulvertError } from '../../common/errors.ts'
import { untilEmpty } from '../guard.ts'
import { rootTest } from '../lab/root-test.ts'
import { SLACK } from '../slack.ts'
import { RunningTransfer } from './transfer.ts'
import { World } from './world.ts'

const END_MS = 3_000 * SLACK
/** Far below any timeout that would tell the same. */
const AT_ONCE_MS = 1_000 * SLACK

const isGone = ({ state, path, streams }: PeerStatus) => path === null && state !== 'connected' && streams === 0

rootTest('SIGTERM ends an agent within 3 s: mappings deleted, sockets closed, peers told; and a relay too', async t => {
  // Bob's router maps ports; alice reaches him directly, carol over the relay.
  await using world = await World.start({
    lab: { sites: { alice: 'edm', bob: { kind: 'edm', upnp: true }, carol: 'https-only' } },
    agents: {},
  })
  await world.startEchoes(['alice', 'bob', 'carol'])
  const [alice, bob, carol] = [world.agent('alice'), world.agent('bob'), world.agent('carol')]
  const { nat } = await bob.waitFor(
    'both ports mapped',
    ({ nat: { portMapping } }) => portMapping.tcp !== null && portMapping.udp !== null,
  )
  const mapped = await mappings(world, 'bob')
  t.is(mapped.length, 2, mapped.join('\n'))

  // Both are in the middle of a transfer.
  const streams = await Promise.all([alice, carol].map(agent => agent.client.connect('bob', 'echo')))
  const transfers = streams.map(({ socket }) => new RunningTransfer(socket))
  await Promise.all(transfers.map(transfer => transfer.more(1 << 20)))
  await alice.waitForPeer('bob', 'direct', ({ path }) => path !== null && path.kind !== 'relay')
  t.is((await carol.peer('bob')).path?.kind, 'relay')
  t.true((await sockets(world, 'bob')).length > 0)

  const startedAt = performance.now()
  const since = () => Math.round(performance.now() - startedAt)
  const gone = Promise.all([alice, carol].map(agent => agent.waitForPeer('bob', 'gone', isGone, END_MS).then(since)))
  const cut = { instanceOf: CulvertError, code: 'session-closed' } as const
  const broken = Promise.all(streams.map(stream => t.throwsAsync(stream.ended(), cut)))
  const end = await bob.stop()
  t.deepEqual({ code: end.code, signal: end.signal }, { code: 0, signal: null }, bob.log.slice(-2_000))
  t.true(end.ms < END_MS, `${end.ms} ms`)
  for (const ms of await gone) t.true(ms < AT_ONCE_MS, `a peer saw it after ${ms} ms`)
  await broken
  await t.notThrowsAsync(untilEmpty(() => mappings(world, 'bob')))
  t.deepEqual(await sockets(world, 'bob'), [])
  await t.throwsAsync(access(bob.socketPath), { code: 'ENOENT' })
  t.log(`${nat.portMapping.protocol} mapped ${nat.portMapping.tcp} and ${nat.portMapping.udp}; ended in ${end.ms} ms`)
  t.log(`alice and carol saw it go ${(await gone).join(' and ')} ms after the signal`)

  await relayEnds(t, world)
})

/** The relay tells its agents, and ends. */
async function relayEnds(t: ExecutionContext, world: World): Promise<void> {
  const carol = world.agent('carol')
  const startedAt = performance.now()
  const noticed = carol
    .waitFor('the relay gone', ({ relays }) => relays[0]?.state !== 'connected', END_MS)
    .then(() => Math.round(performance.now() - startedAt))
  const end = await world.relay?.stop('SIGTERM', 10_000)
  const ms = Math.round(performance.now() - startedAt)
  t.deepEqual(end, { code: 0, signal: null })
  t.true(ms < END_MS, `${ms} ms`)
  t.true((await noticed) < AT_ONCE_MS)
  t.log(`the relay ended in ${ms} ms; carol knew after ${await noticed} ms`)
}

/** What miniupnpd has opened on a site's router, as rules. */
async function mappings(world: World, site: string): Promise<readonly string[]> {
  const { router } = world.lab.site(site)
  const { stdout } = await router.exec('nft', ['list', 'chain', 'inet', 'lab', 'prerouting_miniupnpd'])
  return stdout.split('\n').filter(line => line.includes('dnat'))
}

/** What listens on a host, TCP and UDP. */
async function sockets(world: World, host: string): Promise<readonly string[]> {
  const { stdout } = await world.lab.host(host).exec('ss', ['-Htuln'])
  return stdout.split('\n').filter(line => line !== '')
}
