import test, { type ExecutionContext } from 'ava'
import { SLACK } from '../slack.ts'
import { RelayInTheMiddle } from './relay-in-the-middle.ts'
import type { TestAgent } from './test-agent.ts'
import { World } from './world.ts'

/** Of the issue. */
const FOUND_MS = 15_000
/** A slow machine's own time, beside the timers that make up those 15 s. */
const SLOW_MS = 2_000 * SLACK
/** Something came over the line a moment ago until then, and nobody asks it. */
const QUIET_MS = 2_200

const NAMES = ['asked', 'watched', 'alone'] as const

/** Three agents, the line of each through a middle of its own; `world.relayUrl` is the honest relay behind. */
async function startThree(t: ExecutionContext) {
  const world = await World.start({ lab: 'here', agents: {} })
  t.teardown(() => world[Symbol.asyncDispose]())
  const port = Number(new URL(world.relayUrl).port)
  for (const name of NAMES) await world.prepare(name)
  return Promise.all(
    NAMES.map(async name => {
      const middle = await RelayInTheMiddle.start(port)
      t.teardown(() => middle[Symbol.asyncDispose]())
      const environment = { HTTPS_PROXY: middle.proxy.href, NO_PROXY: '' }
      const agent = await world.startAgent(name, { peers: [], environment })
      await agent.waitForRelay()
      return { agent, middle }
    }),
  )
}

async function stateOf(agent: TestAgent) {
  const { relays } = await agent.status()
  return relays[0]
}

test('a relay line that takes everything and answers nothing is found within 15 s, and no status calls it connected', async t => {
  t.timeout(180_000)
  const [asked, watched, alone] = await startThree(t)
  if (!asked || !watched || !alone) throw new Error('three were started')
  // The ping that a new line begins with is answered, and the line is what it looks like.
  for (const { agent } of [asked, watched, alone]) t.is((await stateOf(agent))?.state, 'connected')

  const found = async (how: string, see: () => Promise<unknown>) => {
    const from = performance.now()
    await see()
    const ms = Math.round(performance.now() - from)
    t.log(`${how}: found after ${ms} ms`)
    t.true(ms <= FOUND_MS + SLOW_MS, `${how}: ${ms} ms`)
  }
  for (const { middle } of [asked, watched, alone]) middle.swallowLines()
  // However late it is asked on a slow machine.
  asked.middle.swallows = true
  await Promise.all([
    found('nobody looks', () => alone.agent.process?.waitForOutput(/relay lost/) ?? Promise.reject()),
    found('somebody watches', () =>
      watched.agent.waitFor('no answer', ({ relays }) => relays[0]?.state === 'connecting'),
    ),
    (async () => {
      await new Promise(resolve => setTimeout(resolve, QUIET_MS))
      const relay = await stateOf(asked.agent)
      t.is(relay?.state, 'connecting', 'the first status that is asked for')
      t.regex(relay?.lastError ?? '', /answer|welcome/)
      t.is(relay?.rttMs, null)
      asked.middle.swallows = false
    })(),
  ])
  // The middle takes new lines for what they are.
  await Promise.all([asked, watched, alone].map(({ agent }) => agent.waitForRelay()))
})
