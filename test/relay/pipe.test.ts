import { once } from 'node:events'
import type { Socket } from 'node:net'
import test from 'ava'
import { type Clock, systemClock } from '../../common/platform/clock.ts'
import { readAll, seededBytes, sendAll, sha256 } from './bytes.ts'
import { attach, befriend, pipeBetween, type TestAgent, testAgent } from './test-agent.ts'
import { stillClock, testRelay } from './test-relay.ts'

/** Unlike any other period of the relay. */
const PIPE_CHECK_MS = 30_001
const noRate = { limits: { mbitPerPeer: null } }

for (const spliceMode of ['fast', 'stream'] as const) {
  test(`[${spliceMode}] bytes pass unchanged both ways at once, and each end ends by itself`, async t => {
    const { relay } = await testRelay(t, noRate, { spliceMode })
    const [a, b] = await Promise.all([testAgent(relay.http), testAgent(relay.http)])
    const [left, right] = await pipeBetween(relay.http, a, b)
    const there = seededBytes(8 * 1024 * 1024, 1)
    const back = seededBytes(3 * 1024 * 1024, 2)
    const [atRight, atLeft] = await Promise.all([
      readAll(right),
      readAll(left),
      sendAll(left, there, 3),
      sendAll(right, back, 4),
    ])
    t.is(sha256(atRight), sha256(there))
    t.is(sha256(atLeft), sha256(back))
    t.is(relay.status().pipeBytes, there.length + back.length)
  })

  test(`[${spliceMode}] one side may go on sending long after the other has ended`, async t => {
    const { relay } = await testRelay(t, noRate, { spliceMode })
    const [a, b] = await Promise.all([testAgent(relay.http), testAgent(relay.http)])
    const [left, right] = await pipeBetween(relay.http, a, b)
    left.end('question')
    t.is((await readAll(right)).toString(), 'question')
    const answer = seededBytes(2 * 1024 * 1024, 5)
    const [atLeft] = await Promise.all([readAll(left), sendAll(right, answer, 6)])
    t.is(sha256(atLeft), sha256(answer))
    if (!right.closed) await once(right, 'close')
  })

  test(`[${spliceMode}] a slow reader gets every byte, and holds up only its own direction`, async t => {
    const { relay } = await testRelay(t, noRate, { spliceMode })
    const [a, b] = await Promise.all([testAgent(relay.http), testAgent(relay.http)])
    const [left, right] = await pipeBetween(relay.http, a, b)
    const bytes = seededBytes(12 * 1024 * 1024, 7)
    const sent = sendAll(left, bytes, 8)
    right.write('not held up')
    t.is(String((await once(left, 'data'))[0]), 'not held up')
    const received = await readAll(right, true)
    await sent
    t.is(sha256(received), sha256(bytes))
  })

  test(`[${spliceMode}] what a side sends before the other has attached is not lost`, async t => {
    const { relay } = await testRelay(t, noRate, { spliceMode })
    const [a, b] = await Promise.all([testAgent(relay.http), testAgent(relay.http)])
    a.line.say({ type: 'call', call: 9, to: b.id })
    const [{ ticket, call }, ring] = await Promise.all([a.line.next('ticket'), b.line.next('ring')])
    t.is(call, 9)
    t.is(ring.from, a.id)
    const early = seededBytes(300_000, 9)
    const left = await attach(relay.http, ticket, { early })
    t.is(left.status, 101)
    left.socket.end('!')
    const right = await attach(relay.http, ring.ticket)
    t.is(sha256(await readAll(right.socket)), sha256(Buffer.concat([early, Buffer.from('!')])))
  })

  test(`[${spliceMode}] a reset passes through as a reset`, async t => {
    const { relay } = await testRelay(t, noRate, { spliceMode })
    const [a, b] = await Promise.all([testAgent(relay.http), testAgent(relay.http)])
    const [left, right] = await pipeBetween(relay.http, a, b)
    left.write('x')
    await once(right, 'data')
    const failed = once(right, 'error')
    left.resetAndDestroy()
    const [error]: readonly unknown[] = await failed
    t.true(error instanceof Error && error.message.includes('ECONNRESET'))
    t.is(relay.status().pipesJoined, 0)
  })

  test(`[${spliceMode}] a pipe that both ends have left without a word is cut, and one that is pinged now and then is not`, async t => {
    // Nothing but the test says when the pipes are looked at.
    let check: () => void = () => undefined
    const clock: Clock = {
      ...systemClock,
      every: (periodMs, run) => {
        if (periodMs !== PIPE_CHECK_MS) return systemClock.every(periodMs, run)
        check = run
        return { cancel: () => undefined }
      },
    }
    const { relay, logged } = await testRelay(t, noRate, { spliceMode, clock, timing: { pipeCheckMs: PIPE_CHECK_MS } })
    const [a, b] = await Promise.all([testAgent(relay.http), testAgent(relay.http)])
    await befriend(a, b)
    const [, dead] = await pipeBetween(relay.http, a, b)
    const [left, right] = await pipeBetween(relay.http, a, b)
    const failed = once(dead, 'error')
    for (let n = 0; n < 6; n++) {
      check()
      left.write('ping')
      await once(right, 'data')
    }
    await failed
    t.is(relay.status().pipesJoined, 1)
    t.true(logged.some(line => line.includes('nothing passed for long')))
  })

  test(`[${spliceMode}] twenty pipes at once do not mix`, async t => {
    const { relay } = await testRelay(t, { limits: { mbitPerPeer: null, pipesPerPeer: 20 } }, { spliceMode })
    const [a, b] = await Promise.all([testAgent(relay.http), testAgent(relay.http)])
    await befriend(a, b)
    // One after the other: the tickets of a busy machine must not grow old.
    const pipes: (readonly [Socket, Socket])[] = []
    while (pipes.length < 20) pipes.push(await pipeBetween(relay.http, a, b))
    await Promise.all(
      pipes.map(async ([left, right], index) => {
        const bytes = seededBytes(400_000, 100 + index)
        const [received] = await Promise.all([readAll(right), sendAll(left, bytes, index), readAll(left), right.end()])
        t.is(sha256(received), sha256(bytes))
      }),
    )
  })

  test(`[${spliceMode}] the rate of a peer is held`, async t => {
    const { relay } = await testRelay(t, { limits: { mbitPerPeer: 8 } }, { spliceMode })
    const [a, b] = await Promise.all([testAgent(relay.http), testAgent(relay.http)])
    const [left, right] = await pipeBetween(relay.http, a, b)
    const bytes = seededBytes(2_500_000, 10)
    const startedAt = performance.now()
    const [received] = await Promise.all([readAll(right), sendAll(left, bytes, 11)])
    // One second's worth goes at once, the other 1.5 MB take 1.5 s at 1 MB/s, and longer on a busy machine.
    const seconds = (performance.now() - startedAt) / 1000
    t.is(sha256(received), sha256(bytes))
    t.true(seconds > 1.2, `${seconds} s`)
  })

  test(`[${spliceMode}] the bytes of the day are held, and the next call says so`, async t => {
    const { relay, logged } = await testRelay(t, { limits: { gbPerPeerPerDay: 0.001 } }, { spliceMode })
    const [a, b] = await Promise.all([testAgent(relay.http), testAgent(relay.http)])
    const [left, right] = await pipeBetween(relay.http, a, b)
    const failed = once(right, 'error')
    right.resume()
    left.write(seededBytes(3_000_000, 12))
    await failed
    t.true(logged.some(line => line.includes('over quota') && line.includes('bytes of the day')))
    a.line.say({ type: 'call', call: 2, to: b.id })
    t.is((await a.line.next('call-failed')).reason, 'over-quota')
    b.line.say({ type: 'call', call: 3, to: a.id })
    t.is((await b.line.next('ticket')).call, 3)
  })
}

test('the fast way is the one that is chosen here, and plain sockets really go by it', async t => {
  const { relay, logged } = await testRelay(t)
  t.is(relay.spliceMode, 'fast')
  const [a, b] = await Promise.all([testAgent(relay.http), testAgent(relay.http)])
  await pipeBetween(relay.http, a, b)
  t.true(logged.some(line => line.includes('pipe joined') && line.includes('mode=fast')))
})

test('calls that cannot be are answered with the reason', async t => {
  const { relay } = await testRelay(t, { limits: { pipesPerPeer: 1 } })
  const [a, b, c] = await Promise.all([testAgent(relay.http), testAgent(relay.http), testAgent(relay.http)])
  a.line.say({ type: 'call', call: 1, to: relay.id })
  t.deepEqual(await a.line.next('call-failed'), { type: 'call-failed', call: 1, reason: 'offline' })
  a.line.say({ type: 'call', call: 2, to: a.id })
  t.is((await a.line.next('call-failed')).reason, 'refused')
  a.line.say({ type: 'call', call: 3, to: b.id })
  const [ticket, ring] = await Promise.all([a.line.next('ticket'), b.line.next('ring')])
  a.line.say({ type: 'call', call: 4, to: c.id })
  t.deepEqual(await a.line.next('call-failed'), { type: 'call-failed', call: 4, reason: 'over-quota' })
  await Promise.all([attach(relay.http, ticket.ticket), attach(relay.http, ring.ticket)])
  c.line.say({ type: 'call', call: 5, to: b.id })
  t.is((await c.line.next('call-failed')).reason, 'busy')
})

test('two that call each other again and again are not stopped by the pipes that they left behind', async t => {
  const { relay, logged } = await testRelay(t, { limits: { pipesPerPeer: 3 } })
  const [a, b] = await Promise.all([testAgent(relay.http), testAgent(relay.http)])
  const call = async (caller: TestAgent, callee: TestAgent) => {
    const ends = await pipeBetween(relay.http, caller, callee)
    for (const end of ends) end.on('error', () => undefined)
    return ends
  }
  const [oldest] = await call(a, b)
  const gone = new Promise(resolve => oldest.once('close', resolve))
  await call(b, a)
  await call(a, b)
  await call(b, a)
  await gone
  const [near, far] = await call(a, b)
  near.end('still here')
  t.is(String(await readAll(far)), 'still here')
  t.true(logged.some(line => line.includes('had no room left')))
})

test('a peer that fills another one with pipes keeps nobody else out, on whichever side the room is gone', async t => {
  const { relay } = await testRelay(t, { limits: { pipesPerPeer: 3 } })
  const [victim, hog, friend] = await Promise.all([testAgent(relay.http), testAgent(relay.http), testAgent(relay.http)])
  const call = async (caller: TestAgent, callee: TestAgent) => {
    const ends = await pipeBetween(relay.http, caller, callee)
    for (const end of ends) end.on('error', () => undefined)
    return ends
  }
  for (let i = 0; i < 3; i++) await call(hog, victim)
  const [near, far] = await call(friend, victim)
  near.write('first')
  t.is(String((await once(far, 'data'))[0]), 'first')
  // It fills up again, and only its own pipes give way.
  for (let i = 0; i < 3; i++) await call(hog, victim)
  const [second, end] = await call(victim, friend)
  second.write('second')
  t.is(String((await once(end, 'data'))[0]), 'second')
  near.end(' and still here')
  t.is(String(await readAll(far)), ' and still here')
})

test('a refusal reaches the caller, and closes what he has attached', async t => {
  const { relay } = await testRelay(t)
  const [a, b] = await Promise.all([testAgent(relay.http), testAgent(relay.http)])
  a.line.say({ type: 'call', call: 1, to: b.id })
  const [{ ticket }, ring] = await Promise.all([a.line.next('ticket'), b.line.next('ring')])
  const { socket } = await attach(relay.http, ticket)
  const closed = once(socket, 'close')
  socket.resume()
  b.line.say({ type: 'refuse', ticket: ring.ticket, reason: 'busy' })
  t.deepEqual(await a.line.next('call-failed'), { type: 'call-failed', call: 1, reason: 'busy' })
  socket.end()
  await closed
  t.is((await attach(relay.http, ring.ticket)).status, 404)
})

test('only the callee can refuse', async t => {
  const { relay } = await testRelay(t)
  const [a, b, c] = await Promise.all([testAgent(relay.http), testAgent(relay.http), testAgent(relay.http)])
  a.line.say({ type: 'call', call: 1, to: b.id })
  const [{ ticket }, ring] = await Promise.all([a.line.next('ticket'), b.line.next('ring')])
  c.line.say({ type: 'refuse', ticket: ring.ticket, reason: 'refused' })
  a.line.say({ type: 'refuse', ticket, reason: 'refused' })
  for (const { line } of [a, c]) {
    line.say({ type: 'ping', id: 1 })
    await line.next('pong')
  }
  t.is((await attach(relay.http, ring.ticket)).status, 101)
})

test('a ticket works once', async t => {
  const { relay } = await testRelay(t)
  const [a, b] = await Promise.all([testAgent(relay.http), testAgent(relay.http)])
  a.line.say({ type: 'call', call: 1, to: b.id })
  const { ticket } = await a.line.next('ticket')
  t.is((await attach(relay.http, ticket)).status, 101)
  t.is((await attach(relay.http, ticket)).status, 404)
})

test('a ticket that is not used in time is worth nothing, and its pipe is closed', async t => {
  const { relay } = await testRelay(t, {}, { timing: { ticketLifeMs: 60 } })
  const [a, b] = await Promise.all([testAgent(relay.http), testAgent(relay.http)])
  a.line.say({ type: 'call', call: 1, to: b.id })
  const [{ ticket }, ring] = await Promise.all([a.line.next('ticket'), b.line.next('ring')])
  const { socket } = await attach(relay.http, ticket)
  const closed = once(socket, 'close')
  socket.resume()
  await once(socket, 'end')
  socket.end()
  await closed
  t.is((await attach(relay.http, ring.ticket)).status, 404)
  t.is(relay.status().pipesOpen, 0)
})

test('who tries many wrong tickets gets no more answers', async t => {
  const { relay } = await testRelay(t, {}, { clock: stillClock })
  const tries = Array.from({ length: 32 }, (_, i) => attach(relay.http, Buffer.alloc(16, i)))
  const statuses = (await Promise.all(tries)).map(({ status }) => status)
  t.true(statuses.includes(404))
  t.true(statuses.includes(0))
})

test('a stopping relay lets a pipe finish, and cuts one that does not', async t => {
  const { relay } = await testRelay(t, noRate, { timing: { drainMs: 300 } })
  const [a, b] = await Promise.all([testAgent(relay.http), testAgent(relay.http)])
  const [left, right] = await pipeBetween(relay.http, a, b)
  const [idleLeft] = await pipeBetween(relay.http, a, b)
  const cut = once(idleLeft, 'error')
  const stopped = relay.stop()
  left.end('last words')
  right.end()
  t.is((await readAll(right)).toString(), 'last words')
  idleLeft.resume()
  await t.notThrowsAsync(Promise.all([stopped, cut]))
})
