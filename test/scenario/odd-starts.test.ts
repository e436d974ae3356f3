import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { rootTest } from '../lab/root-test.ts'
import { SLACK } from '../slack.ts'
import { ROOT } from './built-bundle.ts'
import { isDirect } from './test-agent.ts'
import { echoService, RunningTransfer, transferBothWays } from './transfer.ts'
import { World } from './world.ts'

const MIB = 1024 * 1024
/** On a quiet machine it is a second or two. */
const LIMIT_MS = 10_000 * SLACK

/** A world with a pair of homes whose agents are not started yet. */
async function startHomes(lab: Parameters<typeof World.start>[0]['lab'], relay: false | undefined) {
  const world = await World.start({ lab, agents: {}, ...(relay === undefined ? {} : { relay }) })
  const target = await world.serve('echo', echoService)
  for (const name of ['alice', 'bob']) await world.prepare(name)
  return { world, config: { services: { echo: { target } } } }
}

rootTest('agents that start while the relay is away are connected soon after it comes', async t => {
  const { world, config } = await startHomes({ sites: { alice: 'eim-apdf', bob: 'eim-apdf' } }, false)
  await using _world = world
  const [alice] = await Promise.all([
    world.startAgent('alice', { config, keep: true }),
    world.startAgent('bob', { config }),
  ])
  await wait(5_000)
  await world.startRelay()
  const readyAt = performance.now()
  await alice.waitForPeer('bob', 'connected', ({ state }) => state === 'connected')
  const { socket } = await alice.client.connect('bob', 'echo')
  const { sent, received } = await transferBothWays(socket, MIB)
  const ms = Math.round(performance.now() - readyAt)
  t.is(received, sent)
  t.log(`1 MiB there and back ${ms} ms after the relay was ready`)
  t.true(ms <= LIMIT_MS, `${ms} ms`)
})

rootTest('agents that met before work together while no relay is there, also after a restart', async t => {
  const { world, config } = await startHomes({ sites: { alice: 'eim-apdf', bob: 'none' } }, undefined)
  await using _world = world
  const [alice, bob] = await Promise.all([world.startAgent('alice', { config }), world.startAgent('bob', { config })])
  await Promise.all([alice.waitForRelay(), bob.waitForRelay()])
  await alice.client.connect('bob', 'echo')
  await alice.waitForPeer('bob', 'direct', isDirect)
  await Promise.all([alice.stop(), bob.stop()])
  await world.relay?.stop('SIGKILL')

  await Promise.all([alice.start(), bob.start()])
  const { socket } = await alice.client.connect('bob', 'echo')
  const { sent, received } = await transferBothWays(socket, MIB)
  t.is(received, sent)
  t.true(isDirect(await alice.peer('bob')))
})

rootTest('a board whose clock says 1970 works, and goes on when its clock is set', async t => {
  const { world, config } = await startHomes({ sites: { alice: 'eim-apdf', bob: 'eim-apdf' } }, undefined)
  await using _world = world
  const environment = { NODE_OPTIONS: `--require=${join(ROOT, 'test/scenario/skewed-clock.cjs')}` }
  const [alice, bob] = await Promise.all([
    world.startAgent('alice', { config, environment }),
    world.startAgent('bob', { config, environment }),
  ])
  await Promise.all([alice.waitForRelay(), bob.waitForRelay()])
  t.regex(alice.log, /wall clock 1970-01-01/)
  const transfer = new RunningTransfer((await alice.client.connect('bob', 'echo')).socket)
  await transfer.more(MIB)
  await alice.waitForPeer('bob', 'direct', isDirect)
  for (const agent of [alice, bob]) {
    process.kill(agent.process?.pid ?? 0, 'SIGUSR2')
    await transfer.more(4 * MIB)
  }
  await wait(3_000)
  await transfer.more(4 * MIB)
  const { sent, received } = await transfer.finish()
  t.is(received, sent)
  t.regex(alice.log, /wall clock 20\d\d-/)
  t.notRegex(alice.log, /unhandled|uncaught/i)
})
