import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair, type KeyPair } from '../../common/platform/ed25519.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import type { Chain } from '../../common/wire/membership.ts'
import { attach, hello, lineUrl, pipeBetween, type TestAgent, TestLine, testAgent } from './test-agent.ts'
import { bytesOf, TestNetwork } from './test-network.ts'
import { testRelay } from './test-relay.ts'

const inAnHour = () => Math.floor(Date.now() / 1000) + 3_600

/** A line that was welcomed as a member's. */
function member(http: Endpoint, key: KeyPair, chain: Chain): Promise<TestAgent> {
  return testAgent(http, { key, membership: bytesOf(chain) })
}

/** Why a line is refused. */
async function refusal(http: Endpoint, key: KeyPair, chain?: Chain): Promise<string> {
  const line = new TestLine(lineUrl(http))
  await hello(line, http, { key, ...(chain ? { membership: bytesOf(chain) } : {}) })
  const { reason } = await line.next('refused')
  await line.whenClosed()
  return reason
}

async function stateDir(t: ExecutionContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'culvert-'))
  t.teardown(() => rm(directory, { recursive: true }))
  return directory
}

/** Two members, by the root and by an admin, of a network that the relay admits. */
async function scene(t: ExecutionContext, admit?: 'anyone') {
  const network = new TestNetwork()
  const directory = await stateDir(t)
  const { relay } = await testRelay(t, { admit: admit ?? [network.id] }, { stateDir: directory })
  const [ann, bob, admin] = [generateKeyPair(), generateKeyPair(), generateKeyPair()]
  const chains = {
    ann: network.byRoot(ann.id),
    bob: network.byAdmin(admin, network.admin(admin.id), bob.id, { notAfter: inAnHour() }),
  }
  return { network, relay, http: relay.http, directory, ann, bob, admin, chains }
}

test('members of an admitted network have lines, and nobody else has', async t => {
  const { http, network, ann, bob, chains, relay } = await scene(t)
  const [a, b] = [await member(http, ann, chains.ann), await member(http, bob, chains.bob)]
  t.true(a.welcome.features.includes('network'))
  const [one, other] = await pipeBetween(http, a, b)
  one.destroy()
  other.destroy()
  const stranger = generateKeyPair()
  t.regex(await refusal(http, stranger), /does not admit/)
  t.regex(await refusal(http, stranger, chains.ann), /it is that of/)
  t.regex(
    await refusal(http, stranger, new TestNetwork().byRoot(stranger.id)),
    /does not admit the network [a-z2-7]{52};/,
  )
  const forged = network.byRoot(stranger.id)
  const unsigned = { ...forged, entry: { ...forged.entry, version: 2 } }
  t.regex(await refusal(http, stranger, unsigned), /its network has not signed it/)
  t.regex(await refusal(http, stranger, network.byRoot(stranger.id, { notAfter: 1 })), /ended at 1970-01-01/)
  t.is(relay.status().lines, 2)
})

test('who is removed has no line any more, at once, with no old entry, and not after a restart of the relay', async t => {
  const { http, network, relay, directory, ann, bob, chains } = await scene(t)
  const [a, b] = [await member(http, ann, chains.ann), await member(http, bob, chains.bob)]
  const ends = await pipeBetween(http, a, b)
  const closed = ends.map(
    end => new Promise<void>(resolve => end.on('error', () => undefined).once('close', () => resolve())),
  )
  for (const end of ends) end.resume()
  const removal = bytesOf(network.removal(bob.id, 5))
  a.line.say({ type: 'statement', chain: removal })
  t.deepEqual((await b.line.next('statement')).chain, removal)
  t.regex((await b.line.next('refused')).reason, /removed from its network/)
  await b.line.whenClosed()
  await Promise.all(closed)
  t.regex(await refusal(http, bob, chains.bob), /was removed from its network/)
  t.regex(await refusal(http, bob, network.byRoot(bob.id, { version: 5 })), /was removed from its network/)
  t.regex(await refusal(http, bob), /was removed from its network/)
  await relay.stop()

  const { relay: next } = await testRelay(t, { admit: [network.id] }, { stateDir: directory })
  t.regex(await refusal(next.http, bob, chains.bob), /was removed from its network/)
  // A member that was away is told.
  const again = await member(next.http, ann, chains.ann)
  t.deepEqual((await again.line.next('statement')).chain, removal)
  // Taken back by the root, he is in again.
  await member(next.http, bob, network.byRoot(bob.id, { version: 6 }))
  t.is(next.status().lines, 2)
})

test('with an admin go the lines of those whom he signed, but for whom the root has signed anew', async t => {
  const { http, network, ann, bob, admin, chains } = await scene(t)
  const [a, b] = [await member(http, ann, chains.ann), await member(http, bob, chains.bob)]
  a.line.say({ type: 'statement', chain: bytesOf(network.removal(admin.id)) })
  t.regex((await b.line.next('refused')).reason, /admin who signed the membership of this device was removed/)
  t.regex(await refusal(http, bob, chains.bob), /admin who signed it was removed/)
  const anew = bytesOf(network.byRoot(bob.id, { version: 2 }))
  a.line.say({ type: 'statement', chain: anew })
  // What it says is read in turn, so the statement is known by the time of the answer.
  a.line.say({ type: 'ping', id: 1 })
  await a.line.next('pong')
  const back = await member(http, bob, chains.bob)
  const removed = await back.line.next('statement')
  t.notDeepEqual(removed.chain, anew)
  t.deepEqual((await back.line.next('statement')).chain, anew, 'and it is told what counts now')
})

test('a relay that admits anyone passes statements on within a network, and turns nobody away for them', async t => {
  const { http, network, ann, bob, chains, relay } = await scene(t, 'anyone')
  const [a, b] = [await member(http, ann, chains.ann), await member(http, bob, chains.bob)]
  const outsider = await testAgent(http)
  const carl = generateKeyPair()
  const c = await member(http, carl, new TestNetwork().byRoot(carl.id))
  const removal = bytesOf(network.removal(bob.id))
  a.line.say({ type: 'statement', chain: removal })
  await b.line.next('statement')
  for (const { line } of [outsider, c, b]) {
    line.say({ type: 'ping', id: 7 })
    await line.next('pong')
    t.deepEqual(line.pending, [])
  }
  b.line.socket.close()
  const back = await member(http, bob, chains.bob)
  t.is(relay.status().remembered, 0)
  // It may not have heard of it.
  a.line.say({ type: 'statement', chain: removal })
  t.deepEqual((await back.line.next('statement')).chain, removal)
})

test('what is not proven, of another network, from no member, or said before is passed on to nobody', async t => {
  const { http, network, ann, bob, chains } = await scene(t, 'anyone')
  const [a, b] = [await member(http, ann, chains.ann), await member(http, bob, chains.bob)]
  const outsider = await testAgent(http)
  const removal = network.removal(generateKeyPair().id)
  const say = (by: TestAgent, chain: Chain) => by.line.say({ type: 'statement', chain: bytesOf(chain) })
  say(a, { ...removal, entry: { ...removal.entry, version: 3 } })
  say(a, new TestNetwork().removal(bob.id))
  say(outsider, removal)
  outsider.line.say({ type: 'ping', id: 1 })
  await outsider.line.next('pong')
  say(a, removal)
  say(a, removal)
  a.line.say({ type: 'ping', id: 1 })
  await a.line.next('pong')
  say(a, network.removal(ann.id))
  t.deepEqual((await b.line.next('statement')).chain, bytesOf(removal))
  t.deepEqual((await b.line.next('statement')).chain, bytesOf(network.removal(ann.id)))
})

test('a relay that lets one in a second in lets members in, too', async t => {
  const network = new TestNetwork()
  const { relay } = await testRelay(t, { admit: [network.id], limits: { handshakesPerSecond: 1 } })
  const ann = generateKeyPair()
  const { welcome } = await member(relay.http, ann, network.byRoot(ann.id))
  t.is(welcome.type, 'welcome')
})

test('a membership that ends while its line is up ends the line', async t => {
  let offset = 0
  const { network, http, ann } = await sceneAt(t, () => offset)
  const a = await member(http, ann, network.byRoot(ann.id, { notAfter: inAnHour() }))
  offset = 3_700_000
  t.regex((await a.line.next('refused')).reason, /membership of this device has ended/)
})

/** A relay whose clock on the wall is ahead, and that looks at its lines often. */
async function sceneAt(t: ExecutionContext, aheadMs: () => number) {
  const network = new TestNetwork()
  const clock = { ...systemClock, wallNow: () => systemClock.wallNow() + aheadMs() }
  const { relay } = await testRelay(t, { admit: [network.id] }, { clock, timing: { keepAliveMs: 400 } })
  return { network, http: relay.http, ann: generateKeyPair() }
}

test('a guest calls who expects it, and nobody else; nobody else calls it; and it goes with who expected it', async t => {
  const { network, http, ann } = await sceneAt(t, () => 0)
  const [guest, bob] = [generateKeyPair(), generateKeyPair()]
  t.regex(await refusal(http, guest), /does not admit/)
  const a = await member(http, ann, network.byRoot(ann.id))
  const b = await member(http, bob, network.byRoot(bob.id))
  a.line.say({ type: 'guests', guests: [{ id: guest.id, notAfter: inAnHour() }] })
  a.line.say({ type: 'ping', id: 1 })
  await a.line.next('pong')
  const g = await testAgent(http, { key: guest })
  const [one, other] = await pipeBetween(http, g, a)
  one.destroy()
  other.destroy()
  for (const [from, to] of [
    [g, b],
    [b, g],
  ] as const) {
    from.line.say({ type: 'call', call: 2, to: to.id })
    t.is((await from.line.next('call-failed')).reason, 'offline')
  }
  // It learns of nobody else, and has nothing of its network.
  b.line.say({ type: 'watch', peers: [guest.id] })
  g.line.say({ type: 'watch', peers: [bob.id] })
  g.line.say({ type: 'guests', guests: [{ id: generateKeyPair().id, notAfter: inAnHour() }] })
  g.line.say({ type: 'statement', chain: bytesOf(network.removal(bob.id)) })
  g.line.say({ type: 'reach', check: 1, transport: 'tcp', port: 22, nonce: new Uint8Array(16) })
  t.is((await g.line.next('reached')).outcome, 'refused')
  t.deepEqual(g.line.pending, [])

  a.line.say({ type: 'guests', guests: [] })
  t.regex((await g.line.next('refused')).reason, /nobody expects this guest/)
  t.regex(await refusal(http, guest), /does not admit/)
  t.is((await attach(http, 'A'.repeat(22))).status, 404)
})

test('guests are let in for as long as the line of who expects them lives, and until their time is over', async t => {
  const { http, network, ann, chains, bob } = await scene(t)
  const guest = generateKeyPair()
  const a = await member(http, ann, chains.ann)
  const expect = async (agent: TestAgent, notAfter: number) => {
    agent.line.say({ type: 'guests', guests: [{ id: guest.id, notAfter }] })
    agent.line.say({ type: 'ping', id: 1 })
    await agent.line.next('pong')
  }
  await expect(a, 1)
  t.regex(await refusal(http, guest), /does not admit/)
  await expect(a, inAnHour())
  const g = await testAgent(http, { key: guest })
  g.line.socket.close()
  // The same process, on another line: it tells again.
  const instance = new Uint8Array(8)
  const first = await testAgent(http, { key: bob, membership: bytesOf(chains.bob), instance })
  await expect(first, inAnHour())
  const second = await testAgent(http, { key: bob, membership: bytesOf(chains.bob), instance })
  await first.line.whenClosed()
  a.line.say({ type: 'statement', chain: bytesOf(network.removal(ann.id)) })
  await a.line.whenClosed()
  t.regex(await refusal(http, guest), /does not admit/)
  await expect(second, inAnHour())
  await testAgent(http, { key: guest })
  t.pass()
})
