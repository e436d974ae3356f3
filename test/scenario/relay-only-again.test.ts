import { rootTest } from '../lab/root-test.ts'
import type { TestAgent } from './test-agent.ts'
import { World } from './world.ts'

/** Long, so that a slow machine is told from one that waits. */
const GRACE_MS = 5_000

/** Milliseconds until a first byte came back. */
async function firstByteMs(from: TestAgent, to: string): Promise<number> {
  const since = performance.now()
  const { socket } = await from.client.connect(to, 'echo')
  const answered = new Promise(resolve => socket.once('data', resolve))
  socket.write('x')
  await answered
  socket.destroy()
  return Math.round(performance.now() - since)
}

rootTest('a pair that waited for a direct path in vain does not again, whichever agent starts anew', async t => {
  const line = { kind: 'edm', delayMs: 20 } as const
  await using world = await World.start({ lab: { sites: { alice: line, bob: line } }, agents: {} })
  await world.startEchoes(['alice', 'bob'], { relay: { graceMs: GRACE_MS } })
  const [alice, bob] = [world.agent('alice'), world.agent('bob')]
  const firstMs = await firstByteMs(alice, 'bob')
  t.true(firstMs >= GRACE_MS, `${firstMs} ms`)
  t.log(`at first ${firstMs} ms`)
  for (const anew of [[alice], [bob], [alice, bob], [alice], [bob], [alice, bob]]) {
    await Promise.all(anew.map(agent => agent.stop()))
    // Alice is asked at once after her start, when no STUN server has answered yet.
    await Promise.all(anew.map(agent => agent.start()))
    if (anew.includes(bob)) await bob.waitForRelay()
    const ms = await firstByteMs(alice, 'bob')
    t.true(ms < GRACE_MS, `${anew.map(({ name }) => name).join(' and ')} anew: ${ms} ms`)
    t.log(`${anew.map(({ name }) => name).join(' and ')} anew: ${ms} ms`)
  }
})
