import { once } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'
import test from 'ava'
import { WebSocket } from 'ws'
import { generateKeyPair, verifyBytes } from '../../common/platform/ed25519.ts'
import { MAX_WATCHED_PEERS } from '../../common/wire/relay-message.ts'
import { relayProof } from '../../common/wire/relay-proof.ts'
import { hello, lineUrl, TestLine, testAgent } from './test-agent.ts'
import { stillClock, testRelay } from './test-relay.ts'

test('a good hello is welcomed with the relay’s own proof and where the agent came from', async t => {
  const { relay, key } = await testRelay(t, { stun: { addresses: ['127.0.0.1', '127.0.0.2'], port: 0 } })
  const line = new TestLine(lineUrl(relay.http))
  const challenge = await line.next('challenge')
  t.is(challenge.relay, key.id)
  const before = Date.now()
  const agent = await testAgent(relay.http)
  t.is(agent.welcome.observed?.address, '127.0.0.1')
  t.true(agent.welcome.serverTime >= before && agent.welcome.serverTime <= Date.now())
  t.is(agent.welcome.reconnectWindowMs, 300)
  const [first = 0, second = 0] = relay.stunPorts ?? []
  t.deepEqual(agent.welcome.stun, [
    { address: '127.0.0.1', port: first },
    { address: '127.0.0.1', port: second },
    { address: '127.0.0.2', port: first },
    { address: '127.0.0.2', port: second },
  ])
  t.is(relay.status().lines, 1)
})

test('the welcome’s signature covers both nonces, the relay’s id and the name that was dialled', async t => {
  const { relay, key } = await testRelay(t)
  const line = new TestLine(lineUrl(relay.http))
  const agent = generateKeyPair()
  const challengeNonce = new Promise<Uint8Array>(resolve => {
    line.socket.once('message', () => resolve(challengeOf(line)))
  })
  const relayNonce = await challengeNonce
  const sent = await hello(line, relay.http, { key: agent })
  const welcome = await line.next('welcome')
  t.is(sent.type, 'hello')
  if (sent.type !== 'hello') return
  const handshake = {
    relayId: relay.id,
    relayName: sent.relayName,
    relayNonce,
    agentId: agent.id,
    agentNonce: sent.nonce,
  }
  t.true(verifyBytes(key.id, relayProof(handshake), welcome.signature))
  t.false(verifyBytes(key.id, relayProof({ ...handshake, relayName: 'other:80' }), welcome.signature))
})

function challengeOf(line: TestLine): Uint8Array {
  const [message] = line.pending
  return message?.type === 'challenge' ? message.nonce : new Uint8Array()
}

const wrongHellos = [
  ['a signature by another key', { claim: generateKeyPair().id }, /signature does not prove/],
  ['a signature made for another relay', { relayId: generateKeyPair().id }, /signature does not prove/],
  ['a protocol from the future', { protocol: 99 }, /speaks protocol 1, not 99/],
] as const

for (const [what, options, reason] of wrongHellos) {
  test(`${what} is refused with the reason`, async t => {
    const { relay } = await testRelay(t)
    const line = new TestLine(lineUrl(relay.http))
    await hello(line, relay.http, options)
    t.regex((await line.next('refused')).reason, reason)
    await line.whenClosed()
    t.is(relay.status().lines, 0)
  })
}

test('a relay with a public url refuses a hello for another name, and takes its own', async t => {
  const { relay } = await testRelay(t, { url: 'https://relay.example.org' })
  const wrong = new TestLine(lineUrl(relay.http))
  await hello(wrong, relay.http)
  t.regex((await wrong.next('refused')).reason, /this relay is relay\.example\.org:443/)
  const right = new TestLine(lineUrl(relay.http))
  await hello(right, relay.http, { relayName: 'relay.example.org:443' })
  t.is((await right.next('welcome')).type, 'welcome')
})

test('a relay without url refuses a hello that another relay passed on to it', async t => {
  const { relay, logged } = await testRelay(t)
  for (const relayName of ['192.168.66.6:443', '10.6.6.6:80', `127.0.0.1:${relay.http.port - 1}`]) {
    const line = new TestLine(lineUrl(relay.http))
    await hello(line, relay.http, { relayName })
    t.regex((await line.next('refused')).reason, /does not know that it is .*; set "url" in the relay's config/)
  }
  t.is(logged.filter(text => text.includes('line refused')).length, 1, 'one address fills no log')
})

test('a peer that is not admitted is told so; one that is listed is welcomed', async t => {
  const member = generateKeyPair()
  const { relay } = await testRelay(t, { admit: [member.id] })
  const stranger = new TestLine(lineUrl(relay.http))
  await hello(stranger, relay.http)
  t.regex((await stranger.next('refused')).reason, /not-authorized/)
  t.is((await testAgent(relay.http, { key: member })).welcome.type, 'welcome')
})

test('a relay that anyone may reach and use says at its start how to close it', async t => {
  const member = generateKeyPair().id
  const warned = async (options: Readonly<Record<string, unknown>>) =>
    (await testRelay(t, options)).logged.filter(line => /^warn .*anyone may use this relay: .* in admit/.test(line))
      .length
  t.is(await warned({ listen: '0.0.0.0:0' }), 1)
  t.is(await warned({ listen: '0.0.0.0:0', admit: [member] }), 0)
  t.is(await warned({ listen: '127.0.0.1:0' }), 0)
})

test('a line that says nothing is closed when its time is up', async t => {
  const { relay } = await testRelay(t, {}, { timing: { helloMs: 50 } })
  const line = new TestLine(lineUrl(relay.http))
  await line.whenClosed()
  while (relay.status().connections > 0) await nextTurn()
  t.pass()
})

test('a silent line is pinged, and dropped when it does not answer', async t => {
  const { relay } = await testRelay(t, {}, { timing: { keepAliveMs: 80 } })
  const alive = await testAgent(relay.http)
  const dead = await testAgent(relay.http)
  // A frozen agent: its kernel still takes bytes, but nobody answers.
  dead.line.socket.pause()
  await once(alive.line.socket, 'ping')
  while (relay.status().lines > 1) await nextTurn()
  await once(alive.line.socket, 'ping')
  t.is(relay.status().lines, 1)
  t.false(alive.line.closed)
})

test('a ping is answered with its number', async t => {
  const { relay } = await testRelay(t)
  const { line } = await testAgent(relay.http)
  line.say({ type: 'ping', id: 77 })
  t.is((await line.next('pong')).id, 77)
})

test('a newer line of a process replaces its older one', async t => {
  const { relay } = await testRelay(t)
  const key = generateKeyPair()
  const instance = new Uint8Array(8).fill(1)
  const first = await testAgent(relay.http, { key, instance })
  const second = await testAgent(relay.http, { key, instance })
  t.true((await first.line.next('replaced')).sameInstance)
  await first.line.whenClosed()
  second.line.say({ type: 'ping', id: 1 })
  await second.line.next('pong')
  t.is(relay.status().lines, 1)
})

test('a second process with the same key is refused while the first one answers, and told why', async t => {
  const { relay, logged } = await testRelay(t, {}, { timing: { contestMs: 60_000 } })
  const key = generateKeyPair()
  const first = await testAgent(relay.http, { key })
  for (let times = 0; times < 2; times++) {
    const copy = new TestLine(lineUrl(relay.http))
    await hello(copy, relay.http, { key })
    const { reason, retryAfterMs } = await copy.next('refused')
    t.regex(reason, /another device with the same identity is connected from 127\.0\.0\.1:\d+/)
    t.is(retryAfterMs, 60_000)
    await copy.whenClosed()
  }
  first.line.say({ type: 'ping', id: 1 })
  await first.line.next('pong')
  t.true(logged.some(line => line.includes('two processes')))
})

test('a process that started again is welcomed as soon as the line of the one before ends', async t => {
  const { relay } = await testRelay(t, {}, { timing: { contestMs: 60_000 } })
  const key = generateKeyPair()
  const before = await testAgent(relay.http, { key })
  // It is mute, as a machine without power.
  before.line.socket.pause()
  const again = testAgent(relay.http, { key })
  before.line.socket.terminate()
  await again
  t.is(relay.status().lines, 1)
})

test('a process that started again is welcomed soon, too, where the line of the one before is silent', async t => {
  const { relay } = await testRelay(t, {}, { timing: { contestMs: 50 } })
  const key = generateKeyPair()
  const before = await testAgent(relay.http, { key })
  before.line.socket.pause()
  const again = await testAgent(relay.http, { key })
  again.line.say({ type: 'ping', id: 1 })
  await again.line.next('pong')
  t.is(relay.status().lines, 1)
})

test('presence is told only between peers that watch each other', async t => {
  const { relay } = await testRelay(t)
  const [a, b, c] = await Promise.all([testAgent(relay.http), testAgent(relay.http), testAgent(relay.http)])
  a.line.say({ type: 'watch', peers: [b.id, c.id] })
  const first = [await a.line.next('presence'), await a.line.next('presence')]
  t.true(first.every(({ online }) => !online))
  b.line.say({ type: 'watch', peers: [a.id] })
  t.deepEqual(await b.line.next('presence'), { type: 'presence', peer: a.id, online: true })
  t.deepEqual(await a.line.next('presence'), { type: 'presence', peer: b.id, online: true })
  b.line.socket.close()
  t.deepEqual(await a.line.next('presence'), { type: 'presence', peer: b.id, online: false })
  a.line.say({ type: 'ping', id: 1 })
  await a.line.next('pong')
  t.deepEqual(a.line.pending, [])
})

test('too many messages end the line, and only that one', async t => {
  const { relay } = await testRelay(t, {}, { clock: stillClock })
  const [loud, calm] = await Promise.all([testAgent(relay.http), testAgent(relay.http)])
  for (let id = 0; id < 300; id++) loud.line.say({ type: 'ping', id })
  t.regex((await loud.line.next('refused')).reason, /too many messages/)
  await loud.line.whenClosed()
  calm.line.say({ type: 'ping', id: 1 })
  t.is((await calm.line.next('pong')).id, 1)
})

test('watching as many peers as allowed does not end the line', async t => {
  const { relay } = await testRelay(t)
  const { line } = await testAgent(relay.http)
  const one = generateKeyPair().id
  line.say({ type: 'watch', peers: Array.from({ length: MAX_WATCHED_PEERS }, () => one) })
  t.is((await line.next('presence')).peer, one)
})

test('text, oversized and malformed messages end the line and nothing else', async t => {
  const { relay } = await testRelay(t)
  for (const bad of [
    'text',
    Buffer.alloc(70_000),
    Buffer.from('c1', 'hex'),
    Buffer.from('81a474797065a568656c6c6f', 'hex'),
  ]) {
    const line = new TestLine(lineUrl(relay.http))
    await line.next('challenge')
    line.socket.send(bad)
    await line.whenClosed()
  }
  t.is((await testAgent(relay.http)).welcome.type, 'welcome')
})

test('handshakes beyond the limit are told to come back later', async t => {
  const { relay } = await testRelay(t, { limits: { handshakesPerSecond: 2 } }, { clock: stillClock })
  const lines = Array.from({ length: 8 }, () => new TestLine(lineUrl(relay.http)))
  await Promise.all(lines.map(line => hello(line, relay.http)))
  const { reason, retryAfterMs } = await Promise.any(lines.map(line => line.next('refused')))
  t.regex(reason, /too many handshakes/)
  t.is(retryAfterMs, 2_000)
})

test('a hello that fails a free check takes nothing from the handshakes of its address', async t => {
  const { relay } = await testRelay(t, { limits: { handshakesPerSecond: 2 } })
  for (const options of [{ protocol: 99 }, { relayName: '10.6.6.6:80' }]) {
    const line = new TestLine(lineUrl(relay.http))
    await hello(line, relay.http, options)
    await line.next('refused')
  }
  t.is((await testAgent(relay.http)).welcome.type, 'welcome')
})

test('one address has only so many connections', async t => {
  const { relay } = await testRelay(t, { limits: { connectionsPerAddress: 2 } })
  await testAgent(relay.http)
  await testAgent(relay.http)
  const third = new WebSocket(lineUrl(relay.http))
  const [error]: readonly unknown[] = await once(third, 'error')
  t.true(error instanceof Error)
})

test('a stopping relay tells its agents when to come back', async t => {
  const { relay } = await testRelay(t)
  const { line } = await testAgent(relay.http)
  const stopped = relay.stop()
  t.is((await line.next('going-away')).reconnectWindowMs, 300)
  await line.whenClosed()
  await stopped
})
