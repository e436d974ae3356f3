import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PATHS_FILE } from '../../agent/session/path-memory-file.ts'
import { rootTest } from '../lab/root-test.ts'
import type { TestAgent } from './test-agent.ts'
import { echoService, RunningTransfer } from './transfer.ts'
import { World } from './world.ts'

const MIB = 1024 * 1024

/** A line long enough that UDX is worth a thought. */
const LINE = { kind: 'eim-apdf', delayMs: 10, rateMbit: 100 } as const

const overTcp = (agent: TestAgent) => agent.waitForPeer('bob', 'over TCP', ({ path }) => path?.kind === 'tcp')
const overUdx = (agent: TestAgent) => agent.waitForPeer('bob', 'over UDX', ({ path }) => path?.transport === 'udx')
const knowsItsNat = (agent: TestAgent) =>
  agent.waitFor('its NAT', ({ nat }) => nat.tcp.mapping !== 'unknown' && nat.udp.filtering !== 'unknown')

/** Two agents, of which alice remembers that UDX was faster for a long stream. */
async function startWorld(): Promise<World> {
  const world = await World.start({ lab: { sites: { alice: LINE, bob: LINE } }, agents: {} })
  try {
    const target = await world.serve('echo', echoService)
    for (const name of ['alice', 'bob']) await world.prepare(name)
    const config = { services: { echo: { target } } }
    const [alice] = await Promise.all([world.startAgent('alice'), world.startAgent('bob', { config })])
    await knowsItsNat(alice)
    await alice.client.ping('bob')
    await overTcp(alice)
    await alice.stop()
    const file = join(world.directory, 'alice', 'state', PATHS_FILE)
    const { paths, ...rest } = JSON.parse(await readFile(file, 'utf8'))
    const learnt = (paths as readonly object[]).map(path => ({ ...path, bulk: 'udx' }))
    await writeFile(file, JSON.stringify({ ...rest, paths: learnt }))
    await knowsItsNat(await world.startAgent('alice'))
    return world
  } catch (thrown) {
    await world[Symbol.asyncDispose]()
    throw thrown
  }
}

rootTest('a long stream goes over UDX where that was faster before, and the next one begins there', async t => {
  await using world = await startWorld()
  const alice = world.agent('alice')
  const transfer = new RunningTransfer((await alice.client.connect('bob', 'echo')).socket, 4 * MIB)
  await transfer.fresh()
  await overUdx(alice)
  await transfer.more(4 * MIB)
  const { sent, received } = await transfer.finish()
  t.is(sent, received)
  // So little under way calls for no path by itself.
  const next = new RunningTransfer((await alice.client.connect('bob', 'echo')).socket, MIB / 16)
  await next.fresh()
  await overUdx(alice)
  const after = await next.finish()
  t.is(after.sent, after.received)
})

rootTest('a long stream that UDX carries goes on over TCP when UDP is blocked, and nothing brings it back', async t => {
  await using world = await startWorld()
  const alice = world.agent('alice')
  const transfer = new RunningTransfer((await alice.client.connect('bob', 'echo')).socket, 4 * MIB)
  await transfer.fresh()
  await overUdx(alice)
  await world.lab.site('bob').blockUdp()
  await overTcp(alice)
  await alice.waitForPeer('bob', 'without UDX', ({ standby }) => standby.every(({ kind }) => kind !== 'udp'))
  await transfer.more(4 * MIB)
  t.is((await alice.peer('bob')).path?.kind, 'tcp')
  const { sent, received } = await transfer.finish()
  t.is(sent, received)
})
