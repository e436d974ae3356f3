import { rootTest } from '../lab/root-test.ts'
import { isDirect } from './test-agent.ts'
import { World } from './world.ts'

const HARD = ['one', 'two', 'three']

rootTest('three peers that each need a search through a hard NAT get it one after the other', async t => {
  t.timeout(180_000)
  const sites = Object.fromEntries(HARD.map(name => [name, 'edm-block' as const]))
  await using world = await World.start({ lab: { sites: { ...sites, hub: 'eim-apdf' } }, agents: {} })
  for (const name of [...HARD, 'hub']) await world.prepare(name)
  for (const name of HARD) await world.startAgent(name, { peers: ['hub'] })
  const hub = await world.startAgent('hub')
  for (const agent of [...HARD.map(name => world.agent(name)), hub]) {
    await agent.waitForNat()
  }
  const startedAt = performance.now()
  await Promise.all(HARD.map(name => hub.client.ping(name)))
  const took = await Promise.all(
    HARD.map(async name => {
      await hub.waitForPeer(name, 'direct', isDirect, 120_000)
      return Math.round(performance.now() - startedAt)
    }),
  )
  t.log(`direct after ${took.toSorted((a, b) => a - b).join(', ')} ms`)
  const { limit, peakEntries } = (await hub.status()).nat.probeBudget
  t.true(peakEntries <= limit)
})
