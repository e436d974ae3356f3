import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { PATHS_FILE } from '../../agent/session/path-memory-file.ts'
import type { SiteOptions } from '../lab/lab-options.ts'
import { rootTest } from '../lab/root-test.ts'
import { SLACK } from '../slack.ts'
import { isDirect, type TestAgent } from './test-agent.ts'
import { World } from './world.ts'

/** `CULVERT_HARD_RUNS=40` for the figures that are quoted; in the suite each pair is tried a few times. */
const RUNS = Number(process.env.CULVERT_HARD_RUNS ?? 2)
const LIMIT = process.env.CULVERT_HARD_RUNS === undefined ? SLACK : 1

interface Pair {
  readonly alice: SiteOptions
  readonly bob: SiteOptions
  /** What is kept out, so that the other way has to do. */
  readonly without?: 'udp' | 'tcp'
  /** The path that must come, and how soon after the first request. */
  readonly want: 'tcp' | 'udp'
  readonly withinMs: number
  /** Runs of forty that may miss it. */
  readonly misses: number
}

const LINE = { delayMs: 10 }

/** Ports that a router counts up are foretold over TCP already. */
const OVER_TCP: Readonly<Record<string, Pair>> = {
  'a NAT that counts its ports, and an easy one': {
    alice: { ...LINE, kind: 'edm-sequential' },
    bob: { ...LINE, kind: 'eim-apdf' },
    without: 'udp',
    want: 'tcp',
    withinMs: 3_000,
    misses: 0,
  },
  'a NAT that counts its ports, and an easy one that answers strangers with RST': {
    alice: { ...LINE, kind: 'edm-sequential' },
    bob: { ...LINE, kind: 'eim-apdf', unsolicitedTcp: 'reset' },
    without: 'udp',
    want: 'tcp',
    withinMs: 3_000,
    misses: 0,
  },
  'a NAT that counts its ports, and a firewall': {
    alice: { ...LINE, kind: 'edm-sequential' },
    bob: { ...LINE, kind: 'firewall' },
    without: 'udp',
    want: 'tcp',
    withinMs: 3_000,
    misses: 0,
  },
  'two NATs that count their ports': {
    alice: { ...LINE, kind: 'edm-sequential' },
    bob: { ...LINE, kind: 'edm-sequential' },
    without: 'udp',
    want: 'tcp',
    withinMs: 10_000,
    misses: 2,
  },
}

/** Where no port is foretold, only a search over UDP finds a way. */
const OVER_UDP: Readonly<Record<string, Pair>> = Object.fromEntries([
  ...(['eim-apdf', 'carrier', 'firewall'] as const).map((kind): [string, Pair] => [
    `a NAT that draws its ports, and ${kind}`,
    { alice: { ...LINE, kind: 'edm' }, bob: { ...LINE, kind }, want: 'udp', withinMs: 15_000, misses: 1 },
  ]),
  [
    'a NAT with a block of ports, and an easy one',
    {
      alice: { ...LINE, kind: 'edm-block' },
      bob: { ...LINE, kind: 'eim-apdf' },
      want: 'udp',
      withinMs: 10_000,
      misses: 1,
    },
  ],
  [
    'a NAT that counts its ports, and an easy one',
    {
      alice: { ...LINE, kind: 'edm-sequential' },
      bob: { ...LINE, kind: 'eim-apdf' },
      without: 'tcp',
      want: 'udp',
      withinMs: 10_000,
      misses: 0,
    },
  ],
  [
    'two NATs that count their ports',
    {
      alice: { ...LINE, kind: 'edm-sequential' },
      bob: { ...LINE, kind: 'edm-sequential' },
      without: 'tcp',
      want: 'udp',
      withinMs: 12_000,
      misses: 2,
    },
  ],
])

for (const [words, pair] of Object.entries(OVER_UDP)) {
  rootTest(`over UDP: ${words}`, t => tryPair(t, pair))
}

for (const [words, pair] of Object.entries(OVER_TCP)) {
  rootTest(`over TCP: ${words}`, t => tryPair(t, pair))
}

/** Fresh agents for each run, who know nothing of the runs before. */
async function tryPair(t: ExecutionContext, pair: Pair): Promise<void> {
  t.timeout(120_000 + RUNS * 30_000)
  await using world = await World.start({ lab: { sites: { alice: pair.alice, bob: pair.bob } }, agents: {} })
  for (const name of ['alice', 'bob']) {
    await world.prepare(name)
    if (pair.without === 'udp') await world.lab.site(name).blockUdp()
    if (pair.without === 'tcp') await world.lab.site(name).blockTcp()
  }
  const took: number[] = []
  const faults: string[] = []
  for (let run = 0; run < RUNS; run++) {
    const [alice, bob] = await startAfresh(world)
    const startedAt = performance.now()
    await alice.client.ping('bob')
    try {
      await alice.waitForPeer('bob', 'direct', ({ path }) => path?.kind === pair.want, pair.withinMs * LIMIT)
      took.push(Math.round(performance.now() - startedAt))
    } catch (thrown) {
      faults.push(String(thrown))
      if (process.env.CULVERT_HARD_LOG) t.log(`${alice.log}\n-------- bob\n${bob.log}`)
    }
    await Promise.all([alice.stop(), bob.stop()])
  }
  took.sort((a, b) => a - b)
  t.log(`${took.length} of ${RUNS} direct; ms: median ${took[took.length >> 1]}, most ${took.at(-1)}`)
  t.true(faults.length <= Math.ceil((pair.misses * RUNS) / 40), faults.join('\n'))
}

/** Both agents, who know their NATs and nothing of earlier runs. */
async function startAfresh(world: World): Promise<readonly [TestAgent, TestAgent]> {
  for (const name of ['alice', 'bob']) {
    await rm(join(world.directory, name, 'state', PATHS_FILE), { force: true })
    await world.startAgent(name)
  }
  const agents = [world.agent('alice'), world.agent('bob')] as const
  for (const agent of agents) await agent.waitForNat()
  return agents
}

rootTest('for two NATs that draw their ports there is only the relay, and both are named', async t => {
  await using world = await World.start({
    lab: { sites: { alice: 'edm', bob: 'edm' } },
    agents: { alice: {}, bob: {} },
  })
  const [alice, bob] = [world.agent('alice'), world.agent('bob')]
  for (const agent of [alice, bob]) await agent.waitForNat()
  await alice.client.ping('bob')
  await alice.waitForPeer('bob', 'explained', ({ why }) => /^relayed: both routers use another outside port/.test(why))
  // The side that begins is told, or finds out, that no port is foretold.
  const begins = world.idOf('alice') < world.idOf('bob') ? alice : bob
  await begins.waitFor('that a search is of no use', () => begins.logged('and none can be foretold').length > 1)
  t.true(begins.logged('way=udp/search').every(line => line.includes('both routers use another outside port')))
  t.false(isDirect(await alice.peer('bob')))
  const { probeBudget } = (await begins.status()).nat
  t.true(probeBudget.peakEntries < 60, `${probeBudget.peakEntries} entries for nothing`)
})

rootTest('what the search found once, it begins with the next time', async t => {
  await using world = await World.start({
    lab: { sites: { alice: { ...LINE, kind: 'edm-block' }, bob: { ...LINE, kind: 'eim-apdf' } } },
    agents: {},
  })
  for (const name of ['alice', 'bob']) await world.prepare(name)
  const took: number[] = []
  for (let run = 0; run < 2; run++) {
    for (const name of ['alice', 'bob']) await world.startAgent(name)
    const [alice, bob] = [world.agent('alice'), world.agent('bob')]
    for (const agent of [alice, bob]) await agent.waitForNat()
    const startedAt = performance.now()
    await alice.client.ping('bob')
    await alice.waitForPeer('bob', 'direct', isDirect)
    took.push(Math.round(performance.now() - startedAt))
    await Promise.all([alice.stop(), bob.stop()])
  }
  const [first = 0, second = 0] = took
  t.log(`${first} ms, then ${second} ms`)
  t.true(second < first - 1_000, `${first} ms, then ${second} ms`)
})

rootTest('the hardest search leaves room in the tables of both routers', async t => {
  await using world = await World.start({
    lab: { sites: { alice: { ...LINE, kind: 'edm' }, bob: { ...LINE, kind: 'eim-apdf' } } },
    agents: { alice: {}, bob: {} },
  })
  const [alice, bob] = [world.agent('alice'), world.agent('bob')]
  for (const agent of [alice, bob]) await agent.waitForNat()
  // Nothing of the other side's comes in over UDP, so the search goes on to its end.
  for (const [name, other] of [
    ['alice', 'bob'],
    ['bob', 'alice'],
  ] as const) {
    const { router } = world.lab.site(name)
    const from = world.lab.site(other).outside4 ?? ''
    const rule = ['insert', 'rule', 'inet', 'lab', 'forward', 'iifname', 'wan', 'ip', 'saddr', from]
    t.is((await router.exec('nft', [...rule, 'meta', 'l4proto', 'udp', 'drop'])).code, 0)
  }
  await alice.client.ping('bob')
  const most = { alice: 0, bob: 0 }
  const until = performance.now() + 25_000
  while (performance.now() < until) {
    for (const name of ['alice', 'bob'] as const) most[name] = Math.max(most[name], await entriesOf(world, name))
  }
  const peaks = await Promise.all([alice, bob].map(async agent => (await agent.status()).nat.probeBudget.peakEntries))
  t.log(`most entries of each device: ${most.alice} and ${most.bob}; as the budget counted: ${peaks.join(' and ')}`)
  t.true(most.bob <= 1_500 && most.bob >= 1_300, `${most.bob} entries at the easy side's router`)
  t.true(most.alice <= 1_500 && most.alice >= 250, `${most.alice} entries at the hard side's router`)
})

/** All flows of the device that its router holds, of whatever kind. */
async function entriesOf(world: World, name: string): Promise<number> {
  const { stdout } = await world.lab
    .site(name)
    .router.exec('conntrack', ['-L', '-s', world.lab.host(name).addresses.v4 ?? ''])
  return stdout.split('\n').filter(line => line.includes('src=')).length
}
