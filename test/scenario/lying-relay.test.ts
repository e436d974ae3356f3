import { once } from 'node:events'
import test from 'ava'
import { CulvertError } from '../../common/errors.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import { systemRandom } from '../../common/platform/random.ts'
import { PEER_ID_BYTES, peerIdFromBytes } from '../../common/wire/peer-id.ts'
import { encodeRelayMessage, type RelayMessage, TICKET_BYTES } from '../../common/wire/relay-message.ts'
import { TestLine } from '../relay/test-agent.ts'
import { testRelay } from '../relay/test-relay.ts'
import { startLoopbackPeer } from '../session/loopback-peers.ts'
import { liveBytes } from '../unit/collect-garbage.ts'
import { LyingRelay } from './lying-relay.ts'

const never = new AbortController().signal
const FLOOD = 10_000

/** An id that nobody has. */
const anyPeer = () => peerIdFromBytes(systemRandom.bytes(PEER_ID_BYTES))

/** One agent that knows one peer, on a relay that lies. */
async function startVictim() {
  const relay = await LyingRelay.start()
  const friend = generateKeyPair()
  const agent = await startLoopbackPeer({ relay: { port: relay.port }, trusts: [friend.id] })
  const line = await relay.line(1)
  await agent.until(() => agent.rendezvous.connected)
  return {
    relay,
    agent,
    friend,
    line,
    async [Symbol.asyncDispose]() {
      await agent[Symbol.asyncDispose]()
      await relay[Symbol.asyncDispose]()
    },
  }
}

type Victim = Awaited<ReturnType<typeof startVictim>>

/** The agent answers a ping of ours, so it has read all that came before. */
async function hasReadAll({ relay, line, agent }: Victim): Promise<void> {
  const peer = anyPeer()
  const ticket = systemRandom.bytes(TICKET_BYTES)
  line.tell({ type: 'ring', from: peer, ticket })
  const isAnswer = (message: (typeof line.heard)[number]) =>
    message.type === 'refuse' && Buffer.compare(message.ticket, ticket) === 0
  while (!line.heard.some(isAnswer)) {
    if (line.socket.readyState !== line.socket.OPEN) throw new Error(`the line ended: ${agent.lines.join('')}`)
    await relay.change()
  }
}

/** Ends of TCP connections in this process, of the relay and of the agent. */
const connections = () => process.getActiveResourcesInfo().filter(name => name.startsWith('TCP')).length

const ring = (from = anyPeer()): RelayMessage => ({
  type: 'ring',
  from,
  ticket: systemRandom.bytes(TICKET_BYTES),
})

test.serial('10,000 rings of strangers are refused; twenty lines of log, no memory', async t => {
  await using victim = await startVictim()
  const { line, agent } = victim
  const rings = Array.from({ length: FLOOD }, () => ring())
  await hasReadAll(victim)
  line.heard.length = 0
  const before = liveBytes()
  for (const message of rings) line.tell(message)
  await hasReadAll(victim)
  t.is(line.heard.filter(({ type }) => type === 'refuse').length, FLOOD + 1)
  line.heard.length = 0
  t.is(agent.lines.filter(text => text.includes('a stranger called')).length, 20)
  const grown = liveBytes() - before
  t.true(grown < 8 << 20, `${grown} bytes more than before`)
})

test.serial('10,000 rings in the name of a peer make no more than a few connections', async t => {
  await using victim = await startVictim()
  const { line, agent, friend, relay } = victim
  const before = connections()
  for (let i = 0; i < FLOOD; i++) line.tell(ring(friend.id))
  await hasReadAll(victim)
  const grown = connections() - before
  t.true(grown <= 16, `${grown} ends of connections more than before`)
  t.true(relay.pipes.length <= 8, `${relay.pipes.length} pipes`)
  t.true(agent.lines.length < 50, `${agent.lines.length} lines of log`)
})

test.serial('a relay that asks and does not read the answers is left', async t => {
  await using victim = await startVictim()
  const { line, agent, relay } = victim
  await hasReadAll(victim)
  const closed = once(line.socket, 'close')
  line.socket.pause()
  for (let i = 0; i < 20 * FLOOD && relay.lines.length === 1; i++) {
    line.tell(ring())
    // The agent lives in this process, too: it reads when we let it.
    if (i % 1000 === 0) await new Promise(resolve => setImmediate(resolve))
  }
  await relay.line(2)
  line.socket.resume()
  await closed
  t.regex(agent.lines.join(''), /relay lost .*does not read/)
})

test.serial(
  'answers to calls that were never made, and presence of peers that are not watched, change nothing',
  async t => {
    await using victim = await startVictim()
    const { line, agent, friend } = victim
    await hasReadAll(victim)
    const before = liveBytes()
    for (let i = 0; i < FLOOD; i++) {
      line.tell({ type: 'presence', peer: anyPeer(), online: true })
      line.tell({ type: 'ticket', call: i, ticket: systemRandom.bytes(TICKET_BYTES) })
      line.tell({ type: 'call-failed', call: i, reason: 'offline' })
      line.tell({ type: 'pong', id: i })
      line.tell({ type: 'going-away', reconnectWindowMs: i })
    }
    await hasReadAll(victim)
    line.heard.length = 0
    t.true(agent.rendezvous.connected)
    t.is(agent.peer(friend.id).state, 'idle')
    const grown = liveBytes() - before
    t.true(grown < 8 << 20, `${grown} bytes more than before`)
    t.true(agent.lines.length < 50, `${agent.lines.length} lines of log`)
  },
)

test.serial('a message that is malformed, too long or no message ends the line; the agent comes back', async t => {
  await using victim = await startVictim()
  const { relay, agent } = victim
  const bad: readonly (readonly [string, Buffer | string])[] = [
    ['no msgpack', Buffer.from([0xc1])],
    ['a list', Buffer.from([0x90])],
    ['a field of a wrong type', Buffer.from(encodeRelayMessage({ type: 'pong', id: -1 }))],
    ['more than the longest message', Buffer.alloc(65_537)],
    ['16 MiB', Buffer.alloc(16 << 20)],
    ['nested a million deep', Buffer.alloc(60_000, 0x91)],
    ['a map that says it has a thousand million entries', Buffer.from('df3b9aca00', 'hex')],
    ['text', 'hello'],
  ]
  for (const [index, [what, bytes]] of bad.entries()) {
    const line = await relay.line(index + 1)
    const closed = once(line.socket, 'close')
    line.socket.send(bytes)
    await closed
    await relay.line(index + 2)
    await agent.until(() => agent.rendezvous.connected)
    t.pass(what)
  }
})

test.serial('a line that ends with its welcome is not taken for one that is up', async t => {
  await using relay = await LyingRelay.start()
  relay.behindWelcome = Buffer.from([0xc1])
  await using agent = await startLoopbackPeer({ relay: { port: relay.port, id: relay.key.id }, trusts: [] })
  const first = await relay.line(1)
  if (first.socket.readyState !== first.socket.CLOSED) await once(first.socket, 'close')
  t.false(agent.rendezvous.connected)
  relay.behindWelcome = undefined
  await agent.until(() => agent.rendezvous.connected)
})

test.serial('a relay that is not the one in the config gets no signature', async t => {
  await using relay = await LyingRelay.start()
  const honest = generateKeyPair()
  relay.challenge = { ...relay.challenge, relay: honest.id }
  await using agent = await startLoopbackPeer({ relay: { port: relay.port, id: relay.key.id }, trusts: [] })
  await agent.until(() => agent.rendezvous.report()[0]?.state === 'refused')
  t.regex(agent.rendezvous.report()[0]?.lastError ?? '', /says it is \w{52}, not the id in the config/)
  t.is(relay.lines.length, 0)

  // Without an id in the config it signs, and then sees that the relay has not the key it names.
  await using trusting = await startLoopbackPeer({ relay: { port: relay.port }, trusts: [] })
  await trusting.until(() => trusting.rendezvous.report()[0]?.state === 'refused')
  t.regex(trusting.rendezvous.report()[0]?.lastError ?? '', /could not prove its id/)
})

test.serial('a hello that one relay got is worth nothing to another', async t => {
  await using relay = await LyingRelay.start()
  const honest = await testRelay(t, { url: 'http://relay.example.org' })
  const url = `ws://127.0.0.1:${honest.relay.http.port}/v1/agent`
  // The liar passes on the challenge of the honest relay, and then the agent's answer to it.
  const line = new TestLine(url)
  const { relay: id, nonce } = await line.next('challenge')
  relay.challenge = { relay: id, nonce }
  await using agent = await startLoopbackPeer({ relay: { port: relay.port }, trusts: [] })
  const [hello] = (await relay.line(1)).heard
  if (hello?.type !== 'hello') throw new CulvertError('internal', 'no hello')
  line.say(hello)
  t.regex((await line.next('refused')).reason, /this relay is relay.example.org:80/)
  await line.whenClosed()

  // Not even to one that goes by the liar's name: its challenge is another, so the signature does not fit.
  const other = await testRelay(t, { url: `http://127.0.0.1:${relay.port}` })
  const late = new TestLine(`ws://127.0.0.1:${other.relay.http.port}/v1/agent`)
  await late.next('challenge')
  late.say(hello)
  t.regex((await late.next('refused')).reason, /signature/)
  t.is(agent.peers.list().length, 0)
})

test.serial('a call that the relay leaves without a peer ends by itself, with words', async t => {
  await using victim = await startVictim()
  const { line, agent, friend, relay } = victim
  const opened = t.throwsAsync(agent.peer(friend.id).openStream('echo', never), { instanceOf: CulvertError })
  while (!line.heard.some(({ type }) => type === 'call')) await relay.change()
  const call = line.heard.find(message => message.type === 'call')
  if (call?.type === 'call') line.tell({ type: 'ticket', call: call.call, ticket: systemRandom.bytes(TICKET_BYTES) })
  const error = await opened
  t.true(error?.code === 'timed-out' || error?.code === 'relay-unreachable')
  t.regex(error?.message ?? '', /no answer|did not answer a call/)
})

test.serial('a relay that drops every line that it welcomes is not dialled without pause', async t => {
  await using relay = await LyingRelay.start()
  relay.behindWelcome = Buffer.from([0xc1])
  await using _agent = await startLoopbackPeer({ relay: { port: relay.port, id: relay.key.id }, trusts: [] })
  await relay.line(1)
  const beganAt = performance.now()
  await relay.line(6)
  // Its wish is 100 ms; from the second drop on each wait is 200 ms at least.
  t.true(performance.now() - beganAt > 750)
})
