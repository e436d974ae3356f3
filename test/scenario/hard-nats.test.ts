import type { ExecutionContext } from 'ava'
import type { SiteOptions } from '../lab/lab-options.ts'
import { rootTest } from '../lab/root-test.ts'
import { World } from './world.ts'

/** `CULVERT_HARD_RUNS=40` for the figures that are quoted; in the suite each pair is tried a few times. */
const RUNS = Number(process.env.CULVERT_HARD_RUNS ?? 2)

interface Pair {
  readonly alice: SiteOptions
  readonly bob: SiteOptions
  readonly udp: boolean
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
    udp: false,
    want: 'tcp',
    withinMs: 3_000,
    misses: 0,
  },
  'a NAT that counts its ports, and an easy one that answers strangers with RST': {
    alice: { ...LINE, kind: 'edm-sequential' },
    bob: { ...LINE, kind: 'eim-apdf', unsolicitedTcp: 'reset' },
    udp: false,
    want: 'tcp',
    withinMs: 3_000,
    misses: 0,
  },
  'a NAT that counts its ports, and a firewall': {
    alice: { ...LINE, kind: 'edm-sequential' },
    bob: { ...LINE, kind: 'firewall' },
    udp: false,
    want: 'tcp',
    withinMs: 3_000,
    misses: 0,
  },
  'two NATs that count their ports': {
    alice: { ...LINE, kind: 'edm-sequential' },
    bob: { ...LINE, kind: 'edm-sequential' },
    udp: false,
    want: 'tcp',
    withinMs: 10_000,
    misses: 2,
  },
}

/** Where no port is foretold, only a search over UDP finds a way. */
const OVER_UDP: Readonly<Record<string, Pair>> = Object.fromEntries([
  ...(['eim-apdf', 'carrier', 'firewall'] as const).map((kind): [string, Pair] => [
    `a NAT that draws its ports, and ${kind}`,
    { alice: { ...LINE, kind: 'edm' }, bob: { ...LINE, kind }, udp: true, want: 'udp', withinMs: 15_000, misses: 1 },
  ]),
  [
    'a NAT with a block of ports, and an easy one',
    {
      alice: { ...LINE, kind: 'edm-block' },
      bob: { ...LINE, kind: 'eim-apdf' },
      udp: true,
      want: 'udp',
      withinMs: 10_000,
      misses: 1,
    },
  ],
])

for (const [words, pair] of Object.entries({ ...OVER_UDP })) {
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
    if (!pair.udp) await world.lab.site(name).blockUdp()
  }
  const took: number[] = []
  const faults: string[] = []
  for (let run = 0; run < RUNS; run++) {
    for (const name of ['alice', 'bob']) await world.startAgent(name)
    const alice = world.agent('alice')
    const bob = world.agent('bob')
    for (const agent of [alice, bob]) {
      await agent.waitFor('its NAT', ({ nat }) => nat.tcp.mapping !== 'unknown' && nat.udp.filtering !== 'unknown')
    }
    const startedAt = performance.now()
    await alice.client.ping('bob')
    try {
      await alice.waitForPeer('bob', 'direct', ({ path }) => path?.kind === pair.want, pair.withinMs)
      took.push(Math.round(performance.now() - startedAt))
    } catch (thrown) {
      faults.push(String(thrown))
      if (process.env.CULVERT_HARD_LOG) t.log(`${alice.log}\n-------- bob\n${bob.log}`)
    }
    await Promise.all([alice.stop(), bob.stop()])
  }
  took.sort((a, b) => a - b)
  t.log(`${took.length} of ${RUNS} direct; ms: median ${took[took.length >> 1]}, most ${took.at(-1)}`)
  t.true(faults.length <= Math.floor((pair.misses * RUNS) / 40), faults.join('\n'))
}
