import test from 'ava'
import { WebSocket } from 'ws'
import type { LineNetwork } from '../../agent/rendezvous/line-words.ts'
import { relayAddress } from '../../agent/rendezvous/relay-dial.ts'
import { RelayLine } from '../../agent/rendezvous/relay-line.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import { createLog } from '../../common/platform/log.ts'
import { systemRandom } from '../../common/platform/random.ts'
import { guarded } from '../guard.ts'
import { FakeClock } from '../unit/fake-clock.ts'
import { type FakeRelay, startFakeRelay } from './fake-relay.ts'

const ignore = () => undefined

/** An agent's line, whose time passes only when a test says so. */
function agentLine({ url }: FakeRelay, network?: LineNetwork) {
  const clock = new FakeClock()
  const line = new RelayLine({
    relay: relayAddress(url, undefined, undefined),
    identity: generateKeyPair(),
    clock,
    random: systemRandom,
    instance: systemRandom.bytes(8),
    software: 'test',
    log: createLog({ level: 'error', style: 'words', write: () => undefined }),
    addresses: () => ['127.0.0.1'],
    events: { onRing: ignore, onPresence: ignore, onLost: ignore, onChange: ignore, onTime: ignore },
    network,
  })
  return { clock, line, [Symbol.dispose]: () => line.close() }
}

type AgentLine = ReturnType<typeof agentLine>

/** Waits, in real time, for what sockets bring. */
function until(holds: () => boolean): Promise<void> {
  const look = async () => {
    while (!holds()) await new Promise(resolve => setTimeout(resolve, 5))
  }
  return guarded(look(), () => `${holds}`)
}

/** Lets time pass step by step, and sockets do their part in between. */
async function pass({ clock }: AgentLine, ms: number, stepMs: number, each: () => void = ignore): Promise<void> {
  for (let at = 0; at < ms; at += stepMs) {
    await new Promise(resolve => setTimeout(resolve, 2))
    each()
    clock.advance(stepMs)
  }
}

test('a connection on which the relay says no welcome is closed when its time is up', async t => {
  await using relay = await startFakeRelay(() => undefined)
  using agent = agentLine(relay)
  await until(() => relay.lines[0]?.received.length === 1)
  const [late] = relay.lines
  agent.clock.advance(10_000)
  await until(() => late?.socket.readyState === WebSocket.CLOSED)
  t.is(agent.line.state, 'connecting')
})

/** Welcomes, and then says nothing any more. */
const startMuteRelay = () =>
  startFakeRelay((line, { type }) => {
    if (type === 'hello') line.welcome()
  })

test('a relay that welcomes and answers no ping is dialled less and less', async t => {
  await using relay = await startMuteRelay()
  using agent = agentLine(relay)
  for (let minute = 0; minute < 30; minute++) await pass(agent, 60_000, 1_000)
  t.true(relay.lines.length > 1)
  t.true(relay.lines.length < 110, `${relay.lines.length} lines in half an hour`)
})

test('for somebody who waits, a relay that answers no ping does not get line after line', async t => {
  await using relay = await startMuteRelay()
  using agent = agentLine(relay)
  await pass(agent, 300_000, 250, () => agent.line.hurry())
  t.true(relay.lines.length > 1)
  t.true(relay.lines.length < 80, `${relay.lines.length} lines in five minutes`)
})

test('for somebody who waits, another line is made at once beside one that answered before and is late', async t => {
  await using relay = await startFakeRelay((line, message) => {
    // The other one stays without a welcome, or it would soon take the place of the first.
    if (message.type === 'hello' && relay.lines[1] === undefined) line.welcome()
    if (message.type === 'ping' && relay.lines[1] === undefined && line.received.length === 2)
      line.say({ type: 'pong', id: message.id })
  })
  using agent = agentLine(relay)
  await until(() => agent.line.rttMs !== null)
  agent.line.hurry()
  agent.clock.advance(1_000)
  await until(() => relay.lines.length === 2)
  t.is(relay.lines[0]?.socket.readyState, WebSocket.OPEN)
  t.is(agent.line.state, 'connected')
})

test('what a relay says for a network right behind its welcome is heard, and who is another one says hello anew', async t => {
  const [first, second] = [new Uint8Array(225).fill(1), new Uint8Array(225).fill(2)]
  const heard: Uint8Array[] = []
  let own = first
  const network: LineNetwork = {
    membership: () => own,
    guests: () => [],
    removals: () => [second],
    onStatement: chain => heard.push(chain),
  }
  await using relay = await startFakeRelay((line, { type }) => {
    if (type !== 'hello') return
    line.welcome(['network'])
    line.say({ type: 'statement', chain: second })
  })
  using agent = agentLine(relay, network)
  const hellos = () => relay.lines.map(({ received: [hello] }) => hello?.type === 'hello' && hello.membership)
  await until(() => heard.length === 1)
  t.deepEqual(heard, [second])
  await until(() => relay.lines[0]?.received.some(({ type }) => type === 'statement') === true)
  t.deepEqual(hellos(), [first])
  own = second
  agent.line.introduce()
  await until(() => heard.length === 2)
  t.deepEqual(hellos(), [first, second])
  await until(() => relay.lines[0]?.socket.readyState === WebSocket.CLOSED)
  t.is(agent.line.state, 'connected')
})
