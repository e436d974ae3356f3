import { setTimeout as wait } from 'node:timers/promises'
import type { SiteOptions } from '../lab/lab-options.ts'
import { rootTest } from '../lab/root-test.ts'
import { SLACK } from '../slack.ts'
import type { PathKind } from './lane.ts'
import type { TestAgent } from './test-agent.ts'
import { echoService } from './transfer.ts'
import { World } from './world.ts'

/** Of the issue: what a user asks for works so soon after the network allows it. */
const BUDGET_MS = 3_000
/** A session that was used lately finds out by a ping of its own that its NAT has forgotten it. */
const NOTICE_MS = 6_000
const CALM_MS = 1_500

const SITES: Readonly<Record<PathKind, readonly [SiteOptions, SiteOptions]>> = {
  tcp: [{ kind: 'eim-apdf' }, { kind: 'eim-apdf' }],
  udp: [{ kind: 'edm' }, { kind: 'eim-eif' }],
  relay: [{ kind: 'edm' }, { kind: 'edm' }],
}
const KINDS: readonly PathKind[] = ['tcp', 'udp', 'relay']

interface Pair {
  readonly kind: PathKind
  readonly near: TestAgent
  readonly far: TestAgent
}

/** What befalls the far side, or the relay of both. */
interface Blow {
  readonly name: string
  strike(world: World, far: string): Promise<void>
  /** Nothing tells the far side. */
  readonly silent?: boolean
}

const BLOWS: readonly Blow[] = [
  { name: 'new outside address', strike: (world, far) => world.lab.site(far).newAddress(), silent: true },
  { name: 'NAT rebind', strike: (world, far) => world.lab.site(far).rebind(), silent: true },
  {
    name: 'line cut for 15 s',
    async strike(world, far) {
      await world.lab.site(far).cut()
      await wait(15_000)
      await world.lab.site(far).restore()
    },
  },
]
const ASKS = [
  ['ping', (from: TestAgent, to: TestAgent) => from.client.ping(to.name)],
  ['stream', echo],
] as const

async function startPairs(world: World, kinds = KINDS): Promise<readonly Pair[]> {
  const target = await world.serve('echo', echoService)
  const config = { services: { echo: { target } } }
  const names = kinds.flatMap(kind => [`${kind}-a`, `${kind}-b`])
  for (const name of names) await world.prepare(name)
  return Promise.all(
    kinds.map(async kind => {
      const ends = [`${kind}-a`, `${kind}-b`] as const
      const [near, far] = await Promise.all([
        world.startAgent(ends[0], { peers: [ends[1]], config }),
        world.startAgent(ends[1], { peers: [ends[0]], config }),
      ])
      await Promise.all([near.waitForNat(), far.waitForNat()])
      return { kind, near, far }
    }),
  )
}

/** A stream comes and goes, and the session is idle on the kind of path that is the best for it. */
async function use({ kind, near, far }: Pair): Promise<void> {
  await echo(near, far)
  await near.waitForPeer(far.name, `over ${kind}`, ({ path, state }) => path?.kind === kind && state === 'connected')
  await echo(near, far)
  await wait(CALM_MS)
}

async function echo(from: TestAgent, to: TestAgent): Promise<void> {
  const { socket } = await from.client.connect(to.name, 'echo')
  const back = new Promise<void>((resolve, reject) => {
    socket.once('data', () => resolve())
    socket.once('close', () => reject(new Error('the stream was closed')))
  })
  socket.write('x')
  await back
  socket.removeAllListeners('close')
  socket.destroy()
}

async function took(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now()
  await work()
  return Math.round(performance.now() - from)
}

rootTest('an idle session is reached again soon after whatever befell the network, from either side', async t => {
  t.timeout(480_000)
  const sites = Object.fromEntries(
    KINDS.flatMap(kind => SITES[kind].map((site, n) => [`${kind}-${n === 0 ? 'a' : 'b'}`, site])),
  )
  await using world = await World.start({ lab: { sites }, agents: {} })
  const pairs = await startPairs(world)
  const reach = async (pair: Pair, blow: string, side: 'near' | 'far', turn: number, budgetMs: number) => {
    const { kind, near, far } = pair
    const [ask, run] = ASKS[turn % ASKS.length] ?? ASKS[0]
    const what = `${kind}: ${blow}: ${ask} from the ${side} side`
    try {
      const ms = await took(() => (side === 'near' ? run(near, far) : run(far, near)))
      t.log(`${what}: ${ms} ms`)
      t.true(ms <= budgetMs * SLACK, `${what}: ${ms} ms`)
    } catch (thrown) {
      t.fail(`${what}: ${String(thrown)}\n${tail(near)}\n-- far\n${tail(far)}`)
    }
  }
  for (const [n, { name, strike, silent }] of BLOWS.entries()) {
    for (const side of ['far', 'near'] as const) {
      await Promise.all(
        pairs.map(async (pair, turn) => {
          await use(pair)
          await strike(world, pair.far.name)
          await reach(pair, name, side, n + turn, BUDGET_MS + (silent && side === 'near' ? NOTICE_MS : 0))
        }),
      )
    }
  }
  await Promise.all(pairs.map(use))
  await world.relay?.stop('SIGKILL')
  await world.startRelay()
  await Promise.all(pairs.map((pair, turn) => reach(pair, 'relay killed, and started again', 'near', turn, BUDGET_MS)))
})

rootTest('no status claims a path that is dead, also when nobody uses it', async t => {
  const sites = { 'tcp-a': SITES.tcp[0], 'tcp-b': SITES.tcp[1] }
  await using world = await World.start({ lab: { sites }, agents: {} })
  const [pair] = await startPairs(world, ['tcp'])
  if (!pair) throw new Error('no pair')
  const { near, far } = pair
  await use(pair)
  t.is((await near.peer(far.name)).state, 'connected')
  await world.lab.site(far.name).cut()
  // Silent for long enough that it is asked, and for less time than it takes to be asked by itself.
  await wait(3_000)
  const { state, why } = await near.peer(far.name)
  t.is(state, 'connecting', why)
  await world.lab.site(far.name).restore()
  await near.waitForPeer(far.name, 'connected, without anybody asking', peer => peer.state === 'connected')
})

function tail({ log }: TestAgent): string {
  return log.split('\n').slice(-25).join('\n')
}
