import type { PeerStatus } from '../../agent/control/status.ts'
import type { SiteOptions } from '../lab/lab-options.ts'
import { rootTest } from '../lab/root-test.ts'
import type { SiteKind } from '../lab/site-kind.ts'
import { SLACK } from '../slack.ts'
import { echoService, RunningTransfer, transferBothWays } from './transfer.ts'
import { WITHOUT_UDX } from './without-udx.ts'
import { World } from './world.ts'

const MIB = 1024 * 1024

const overUdx = ({ path }: PeerStatus) => path?.transport === 'udx'

/** Two homes between which only UDP is direct: one has random outside ports, so no TCP connection can be aimed at it. */
async function startHomes(line: Partial<SiteOptions> = {}, kinds: { readonly alice?: SiteKind } = {}) {
  const world = await World.start({
    lab: { sites: { alice: { kind: kinds.alice ?? 'eim-adf', ...line }, bob: { kind: 'edm', ...line } } },
    agents: {},
  })
  await world.startEchoes(['alice', 'bob'])
  return { world, alice: world.agent('alice'), bob: world.agent('bob') }
}

for (const [what, line] of [
  ['a plain line', {}],
  ['a line of 1,280-byte packets', { mtu: 1280 }],
  ['a line of 1,124-byte packets', { mtu: 1124 }],
  ['a line that loses 3 %, 80 ms there and back', { delayMs: 20, lossPct: 1.5, rateMbit: 40 }],
] as const) {
  rootTest(`8 MiB each way over UDX on ${what}`, async t => {
    const { world, alice } = await startHomes(line)
    await using _world = world
    const startedAt = performance.now()
    const { socket } = await alice.client.connect('bob', 'echo')
    await alice.waitForPeer('bob', 'over UDX', overUdx)
    const ms = Math.round(performance.now() - startedAt)
    const { path } = await alice.peer('bob')
    const { sent, received, bytes } = await transferBothWays(socket, 8 * MIB)
    t.is(received, sent)
    t.is(bytes, 8 * MIB)
    t.true(overUdx(await alice.peer('bob')))
    t.log(`${path?.how} ${path?.local} to ${path?.remote} after ${ms} ms`)
  })
}

rootTest('a NAT that gives the port another outside port costs a moment and no byte', async t => {
  const { world, alice } = await startHomes({ rateMbit: 50 })
  await using _world = world
  const transfer = new RunningTransfer((await alice.client.connect('bob', 'echo')).socket)
  await alice.waitForPeer('bob', 'over UDX', overUdx)
  await transfer.more(MIB)
  for (const site of ['alice', 'bob'] as const) {
    const reboundAt = performance.now()
    await world.lab.site(site).rebind()
    await transfer.more(MIB)
    const ms = Math.round(performance.now() - reboundAt)
    await alice.waitForPeer('bob', 'over UDX', overUdx)
    t.log(
      `${site} rebound: 1 MiB further after ${ms} ms, over UDX again after ${Math.round(performance.now() - reboundAt)} ms`,
    )
    t.true(ms < 5_000 * SLACK)
  }
  const { sent, received } = await transfer.finish()
  t.is(received, sent)
})

rootTest('a session on UDX moves up to TCP when that gets through', async t => {
  // Behind a hard NAT, bob can only dial, and no TCP but to the relay's port gets through at first.
  const { world, alice } = await startHomes({}, { alice: 'none' })
  await using _world = world
  await world.lab.site('bob').blockTcp()
  const transfer = new RunningTransfer((await alice.client.connect('bob', 'echo')).socket)
  await alice.waitForPeer('bob', 'over UDX', overUdx)
  await transfer.more(MIB)
  const openAt = performance.now()
  await world.lab.site('bob').unblockTcp()
  await alice.waitForPeer('bob', 'over TCP', ({ path }) => path?.kind === 'tcp')
  t.log(`over TCP ${Math.round(performance.now() - openAt)} ms after it was let through`)
  await transfer.more(MIB)
  const { sent, received } = await transfer.finish()
  t.is(received, sent)
})

rootTest('a peer on a machine without UDX is reached by a data channel, whichever side that is', async t => {
  await using world = await World.start({
    lab: { sites: { alice: 'eim-adf', bob: 'edm', carol: 'eim-adf' } },
    agents: {},
  })
  const target = await world.serve('echo', echoService)
  const config = { services: { echo: { target } } }
  for (const name of ['alice', 'bob', 'carol']) await world.prepare(name)
  const alice = await world.startAgent('alice', { config })
  const carol = await world.startAgent('carol', { config, environment: { NODE_OPTIONS: WITHOUT_UDX } })
  const bob = await world.startAgent('bob', { config, environment: { NODE_OPTIONS: WITHOUT_UDX } })
  await Promise.all([alice.waitForRelay(), bob.waitForRelay(), carol.waitForRelay()])
  for (const agent of [alice, carol]) {
    const { socket } = await agent.client.connect('bob', 'echo')
    await agent.waitForPeer('bob', 'over a data channel', ({ path }) => path?.transport === 'datachannel')
    const { sent, received } = await transferBothWays(socket, MIB)
    t.is(received, sent)
  }
  t.is(bob.logged('no direct paths over UDX').length, 1)
})
