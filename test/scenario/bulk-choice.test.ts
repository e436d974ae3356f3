import type { LineOptions } from '../lab/lab-options.ts'
import { rootTest } from '../lab/root-test.ts'
import { echoService, RunningTransfer } from './transfer.ts'
import { World } from './world.ts'

const MIB = 1024 * 1024

/** A long stream between two homes on such lines; gives what carried it in the end, and at which rates. */
async function longStream(line: LineOptions, mebibytes: number) {
  await using world = await World.start({
    lab: { sites: { alice: { kind: 'eim-apdf', ...line }, bob: { kind: 'eim-apdf', ...line } } },
    agents: {},
  })
  const target = await world.serve('echo', echoService)
  for (const name of ['alice', 'bob']) await world.prepare(name)
  const config = { services: { echo: { target } } }
  const [alice, bob] = await Promise.all([world.startAgent('alice', { config }), world.startAgent('bob', { config })])
  await Promise.all([alice.waitForRelay(), bob.waitForRelay()])
  const transfer = new RunningTransfer((await alice.client.connect('bob', 'echo')).socket, 8 * MIB)
  await alice.waitForPeer('bob', 'over TCP', ({ path }) => path?.kind === 'tcp')
  const seen = new Set<string>()
  const rates: number[] = []
  for (let done = 0; done < mebibytes; done += 4) {
    const startedAt = performance.now()
    await transfer.more(4 * MIB)
    rates.push(Math.round((4 * MIB * 8) / (performance.now() - startedAt) / 1000))
    seen.add((await alice.peer('bob')).path?.transport ?? 'none')
  }
  const { sent, received } = await transfer.finish()
  const { path } = await alice.peer('bob')
  return { last: path?.transport, seen: [...seen], rates, equal: sent === received }
}

rootTest(
  'on a long lossy line a long stream over TCP tries UDX too, goes on with the faster, and loses nothing on the way',
  async t => {
    const { seen, rates, equal, last } = await longStream({ delayMs: 20, lossPct: 0.5, rateMbit: 200 }, 60)
    t.log(`${seen.join(', ')}, then ${last}; Mbit/s per 4 MiB: ${rates.join(' ')}`)
    t.true(equal)
    t.true(seen.includes('udx'))
  },
)
