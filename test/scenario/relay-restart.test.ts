import { rootTest } from '../lab/root-test.ts'
import { SLACK } from '../slack.ts'
import { echoService, RunningTransfer } from './transfer.ts'
import { World } from './world.ts'

const MIB = 1024 * 1024
const BACK_MS = 5_000 * SLACK

rootTest(
  'a relay that is killed and started again: agents return, streams go on, direct paths do not notice',
  async t => {
    const peersOf = {
      'hard-alice': 'hard-bob',
      'hard-bob': 'hard-alice',
      'easy-alice': 'easy-bob',
      'easy-bob': 'easy-alice',
    }
    // Slow lines, so that the transfers are still going when the relay is back.
    const line = { rateMbit: 50 }
    await using world = await World.start({
      lab: {
        sites: {
          'hard-alice': { kind: 'edm', ...line },
          'hard-bob': { kind: 'edm', ...line },
          'easy-alice': { kind: 'eim-apdf', ...line },
          'easy-bob': { kind: 'eim-apdf', ...line },
        },
      },
      agents: {},
    })
    const target = await world.serve('echo', echoService)
    const names = Object.keys(peersOf)
    for (const name of names) await world.prepare(name)
    const agents = await Promise.all(
      Object.entries(peersOf).map(([name, peer]) =>
        world.startAgent(name, { peers: [peer], config: { services: { echo: { target } } } }),
      ),
    )
    await Promise.all(agents.map(agent => agent.waitForRelay()))

    const [hard, easy] = [world.agent('hard-alice'), world.agent('easy-alice')]
    const relayed = new RunningTransfer((await hard.client.connect('hard-bob', 'echo')).socket)
    const direct = new RunningTransfer((await easy.client.connect('easy-bob', 'echo')).socket)
    await easy.waitForPeer('easy-bob', 'direct', ({ path }) => path !== null && path.kind !== 'relay')
    await Promise.all([relayed.more(MIB), direct.more(MIB)])
    const before = (await easy.peer('easy-bob')).path
    t.is((await hard.peer('hard-bob')).path?.kind, 'relay')

    const gone = Promise.all(
      agents.map(agent => agent.waitFor('the relay gone', ({ relays }) => relays[0]?.state !== 'connected')),
    )
    await world.relay?.stop('SIGKILL')
    const killedAt = performance.now()
    await gone
    const noticedMs = Math.round(performance.now() - killedAt)
    const meanwhile = direct.bytes
    await direct.more(MIB)

    await world.startRelay()
    const readyAt = performance.now()
    const since = () => Math.round(performance.now() - readyAt)
    const back = await Promise.all(agents.map(async agent => agent.waitForRelay(BACK_MS).then(since)))
    await relayed.more(MIB)
    const flowingMs = since()
    t.true(Math.max(...back) <= BACK_MS)
    t.true(flowingMs <= BACK_MS + 3_000, `the relayed stream flowed again after ${flowingMs} ms`)

    for (const [transfer, what] of [
      [relayed, 'relayed'],
      [direct, 'direct'],
    ] as const) {
      const { sent, received, bytes } = await transfer.finish()
      t.is(received, sent, what)
      t.log(`${what}: ${bytes} bytes, SHA-256 equal`)
    }
    const after = (await easy.peer('easy-bob')).path
    t.is(after?.remote, before?.remote)
    t.is(after?.local, before?.local)
    t.true((after?.sinceS ?? 0) > (before?.sinceS ?? 0), 'the direct path is the same one')
    t.is((await hard.peer('hard-bob')).path?.kind, 'relay')
    t.log(`agents noticed within ${noticedMs} ms and were back ${back.join(', ')} ms after the relay was ready`)
    t.log(
      `relayed bytes flowed again after ${flowingMs} ms; direct ones all the while (${direct.bytes - meanwhile} bytes)`,
    )
  },
)
