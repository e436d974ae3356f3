import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import test from 'ava'
import { createSealer } from '../../agent/path/seal.ts'
import type { SessionStream } from '../../agent/session/stream.ts'
import { CulvertError } from '../../common/errors.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { type LoopbackPeer, startLoopbackPeer, startLoopbackRelay } from '../session/loopback-peers.ts'
import { type HeldPipe, RelayInTheMiddle, type Way } from './relay-in-the-middle.ts'
import { RunningTransfer } from './transfer.ts'

const never = new AbortController().signal

/** An agent whose pipes are all in the hands of its own middle. */
interface Victim extends LoopbackPeer {
  readonly middle: RelayInTheMiddle
  /** Everything that its service was sent, per stream. */
  readonly heard: string[]
}

/** Three agents that trust each other, on one honest relay, each behind a middle that does as the test says. */
async function startVictims() {
  const relay = await startLoopbackRelay({ limits: { mbitPerPeer: 10_000 } })
  const keys = [generateKeyPair(), generateKeyPair(), generateKeyPair()]
  const victims: Victim[] = []
  for (const key of keys) {
    const middle = await RelayInTheMiddle.start(relay.http.port)
    const heard: string[] = []
    const trusts = keys.filter(other => other !== key).map(({ id }) => id)
    const onStream = (stream: SessionStream) => answer(stream, heard)
    const peer = await startLoopbackPeer({
      relay: { port: relay.http.port, proxy: middle.proxy },
      key,
      trusts,
      onStream,
    })
    victims.push({ ...peer, middle, heard })
  }
  await Promise.all(victims.map(victim => victim.until(() => victim.rendezvous.connected)))
  const [a, b, c] = victims
  if (!a || !b || !c) throw new Error('three were started')
  return {
    a,
    b,
    c,
    async [Symbol.asyncDispose]() {
      for (const victim of victims) {
        await victim[Symbol.asyncDispose]()
        await victim.middle[Symbol.asyncDispose]()
      }
      await relay[Symbol.asyncDispose]()
    },
  }
}

/** The service `echo` gives back what it gets; every other one keeps it. */
function answer(stream: SessionStream, heard: string[]): void {
  stream.accept()
  if (stream.service === 'echo') stream.pipe(stream)
  else stream.on('data', (chunk: Buffer) => heard.push(String(chunk))).on('end', () => stream.end())
}

/** For what only the log tells: looks at every turn of the event loop. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(resolve => setImmediate(resolve))
}

const linesOf = (...peers: readonly LoopbackPeer[]) => peers.flatMap(peer => peer.lines).join('')

/** Opens a stream that must fail; gives the reason. */
async function failure(from: Victim, to: PeerId): Promise<CulvertError> {
  try {
    const stream = await from.peer(to).openStream('keep', never)
    stream.end(`from ${from.key.id}`)
    await stream.accepted()
  } catch (thrown) {
    if (thrown instanceof CulvertError) return thrown
    throw thrown
  }
  throw new Error('the stream was opened')
}

/** A call that hangs is followed by another, so what a relay does it does to every pipe of a peer until this ends. */
function passAgain({ middle }: Victim): void {
  middle.onPipe = pipe => pipe.pass()
}

/** A few words to a peer's service, and the end of the stream once the peer has read them. */
async function tell(from: Victim, to: Victim, words: string): Promise<void> {
  const stream = await from.peer(to.key.id).openStream('keep', never)
  stream.end(words)
  stream.resume()
  await once(stream, 'close')
}

const flipped = (chunk: Buffer, at: number): Buffer => {
  const copy = Buffer.from(chunk)
  copy.writeUInt8((copy[at] ?? 0) ^ 1, at)
  return copy
}

for (const way of ['toPeer', 'toAgent'] as const) {
  test(`bits flipped ${way} in the middle of a stream end that pipe; the stream goes on over the next one, whole`, async t => {
    await using scene = await startVictims()
    const { a, b } = scene
    const transfer = new RunningTransfer(await a.peer(b.key.id).openStream('echo', never))
    for (let round = 0; round < 3; round++) {
      await transfer.more(1 << 20)
      for (const pipe of a.middle.pipes) {
        pipe.tamper((to, chunk) => (to === way ? flipped(chunk, chunk.length - 1) : chunk))
      }
    }
    await transfer.more(1 << 20)
    const { sent, received } = await transfer.finish()
    t.is(received, sent)
    t.true(a.middle.pipes.length > 3)
    t.regex(linesOf(a, b), /path.*(bad record mac|decryption failed|BAD_RECORD_MAC)/i)
  })
}

test('a pipe that is truncated in the middle of a stream is no end of the stream', async t => {
  await using scene = await startVictims()
  const { a, b } = scene
  const transfer = new RunningTransfer(await a.peer(b.key.id).openStream('echo', never))
  for (let round = 0; round < 3; round++) {
    await transfer.more(1 << 20)
    for (const pipe of a.middle.pipes) pipe.tamper(() => 'end')
  }
  await transfer.more(1 << 20)
  const { sent, received } = await transfer.finish()
  t.is(received, sent)
})

test('bits flipped or bytes cut off anywhere in the beginning: refused with words, or said once and whole', async t => {
  await using scene = await startVictims()
  const { a, b } = scene
  // The caller's hello is some 1,500 bytes, its proof another 400; frames follow.
  const offsets = { toPeer: [2050, 1950, 1700, 900, 3], toAgent: [0, 40, 1250, 1700] }
  let expected = 0
  const outcomes = new Map<string, number>()
  for (const way of ['toPeer', 'toAgent'] as const) {
    for (const offset of offsets[way]) {
      for (const harm of ['flip', 'cut'] as const) {
        const words = `${harm} at ${offset} ${way}`
        void a.middle.hold().then(pipe => pipe.pass(harmAt(way, offset, harm)))
        let outcome = 'said'
        try {
          await tell(a, b, words)
          expected++
        } catch (thrown) {
          if (!(thrown instanceof CulvertError)) throw thrown
          outcome = `${thrown.code}: ${thrown.message}`
          t.regex(thrown.code, /^peer-(unreachable|impersonated)$/, `${words}: ${thrown.message}`)
          t.regex(thrown.message, /TLS handshake|path (broke|was closed)|closed the path|showed no/, words)
        }
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
        t.is(b.heard.filter(text => text === words).length, outcome === 'said' ? 1 : 0)
        await endSession(a, b)
      }
    }
  }
  t.is(b.heard.length, expected)
  t.log([...outcomes].map(([outcome, count]) => `${count} ${outcome}`).join('\n'))
  await tell(a, b, 'at last')
})

for (const [what, offset] of [
  ['handshake', 1600],
  ['first frames', 2050],
] as const) {
  test(`a relay that breaks every pipe in its ${what} is called again and again, but not as fast as can be`, async t => {
    await using scene = await startVictims()
    const { a, b } = scene
    const calls: number[] = []
    const fourth = new Promise<void>(resolve => {
      a.middle.onPipe = pipe => {
        if (calls.push(performance.now()) === 4) resolve()
        pipe.pass(harmAt('toPeer', offset, 'flip'))
      }
    })
    a.peer(b.key.id).keep = true
    await fourth
    const ms = Math.round((calls[3] ?? 0) - (calls[0] ?? 0))
    t.true(ms > 1_000, `the fourth call ${ms} ms after the first`)
    a.middle.onPipe = pipe => pipe.pass()
    await a.until(() => a.peer(b.key.id).session?.active !== undefined)
    await tell(a, b, 'at last')
    t.deepEqual(b.heard, ['at last'])
  })
}

/** Flips a bit of the byte at an offset of one way, or ends the pipe there. */
function harmAt(harmed: Way, offset: number, harm: 'flip' | 'cut') {
  return (way: Way, chunk: Buffer, at: number): Buffer | 'end' => {
    if (way !== harmed || offset < at || offset >= at + chunk.length) return chunk
    return harm === 'flip' ? flipped(chunk, offset - at) : 'end'
  }
}

test('recorded bytes of an earlier pipe open nothing, on either side', async t => {
  await using scene = await startVictims()
  const { a, b } = scene
  await tell(a, b, 'said once')
  t.deepEqual(b.heard, ['said once'])
  const [atCaller, atCallee] = [a.middle.lastPipe, b.middle.lastPipe]
  await endSession(a, b)

  a.middle.onPipe = ({ agent }) => {
    for (const chunk of atCaller.recorded.toAgent) agent.write(chunk)
  }
  t.regex((await failure(a, b.key.id)).message, /TLS handshake failed/)

  const caller = b.middle.hold()
  passAgain(a)
  const again = a.peer(b.key.id).openStream('keep', never)
  const heldAtCallee = await caller
  for (const chunk of atCallee.recorded.toAgent) heldAtCallee.agent.write(chunk)
  heldAtCallee.agent.resume()
  await until(() => linesOf(b).includes('came to nothing'))
  heldAtCallee.agent.destroy()
  heldAtCallee.relay.destroy()
  await again.catch(() => undefined)
  t.deepEqual(b.heard, ['said once'])
  await tell(a, b, 'and now anew')
  t.deepEqual(b.heard, ['said once', 'and now anew'])
})

/** Lets the session of two peers end, as idle ones do; without a path there is nobody to agree with. */
async function endSession(a: Victim, b: Victim): Promise<void> {
  const { session } = a.peer(b.key.id)
  if (!session?.active) return
  session.sendBye()
  await a.until(() => !a.peer(b.key.id).session?.active)
  await b.until(() => !b.peer(a.key.id).session?.active)
}

test('pipes to two peers that are swapped reach neither: each end says who answered instead', async t => {
  await using scene = await startVictims()
  const { a, b, c } = scene
  const held: HeldPipe[] = []
  const both = new Promise<readonly [HeldPipe, HeldPipe]>(resolve => {
    a.middle.onPipe = pipe => {
      held.push(pipe)
      const [first, second] = held
      if (first && second) resolve([first, second])
    }
  })
  const errors = Promise.all([failure(a, b.key.id), failure(a, c.key.id)])
  const [first, second] = await both
  join(first.agent, second.relay)
  join(second.agent, first.relay)
  a.middle.onPipe = pipe => pipe.pass()
  for (const error of await errors) {
    t.is(error.code, 'peer-impersonated')
    t.regex(error.message, /expected peer \w{10}, but \w{10} answered; nothing was sent to it/)
  }
  t.deepEqual([...b.heard, ...c.heard], [])
  await Promise.all([tell(a, b, 'for b'), tell(a, c, 'for c')])
  t.deepEqual([b.heard, c.heard], [['for b'], ['for c']])
})

function join(one: Duplex, other: Duplex): void {
  one.pipe(other).pipe(one)
}

test('a relay that answers in the place of the peer learns the caller’s id and nothing else', async t => {
  await using scene = await startVictims()
  const { a, b } = scene
  const mallory = createSealer(generateKeyPair(), systemClock)
  const over = new AbortController()
  const heard: Promise<Buffer>[] = []
  a.middle.onPipe = ({ agent }) => {
    heard.push(plaintextOf(mallory.seal(agent, { role: 'server', accept: () => true, signal: over.signal })))
  }
  const error = await failure(a, b.key.id)
  over.abort()
  passAgain(a)
  t.is(error.code, 'peer-impersonated')
  t.regex(error.message, /nothing was sent to it/)
  for (const bytes of await Promise.all(heard)) t.is(bytes.length, 0)
  t.true(heard.length > 0)
  await tell(a, b, 'after all')
  t.deepEqual(b.heard, ['after all'])
})

test('a relay that calls in the place of a peer is refused, and the log says who it was instead', async t => {
  await using scene = await startVictims()
  const { a, b } = scene
  const mallory = createSealer(generateKeyPair(), systemClock)
  const caller = b.middle.hold()
  const stream = a.peer(b.key.id).openStream('keep', never)
  const held = await caller
  const over = new AbortController()
  const sealed = mallory.seal(held.agent, {
    role: 'client',
    expected: b.key.id,
    accept: () => true,
    signal: over.signal,
  })
  const heard = plaintextOf(sealed)
  await until(() => linesOf(b).includes('came to nothing'))
  over.abort()
  t.is((await heard).length, 0)
  held.relay.destroy()
  t.regex(linesOf(b), /expected peer \w{10}, but \w{10} answered/)
  await stream.catch(() => undefined)
  await tell(a, b, 'after all')
  t.deepEqual(b.heard, ['after all'])
})

/** All that the other end says inside the sealing until it closes. */
async function plaintextOf(sealed: Promise<{ readonly stream: Duplex }>): Promise<Buffer> {
  try {
    const { stream } = await sealed
    const parts: Buffer[] = []
    stream.on('data', (chunk: Buffer) => parts.push(chunk))
    await new Promise(resolve => stream.once('end', resolve).once('close', resolve))
    return Buffer.concat(parts)
  } catch (thrown) {
    if (thrown instanceof CulvertError) return Buffer.alloc(0)
    throw thrown
  }
}

test('a relay that sends the caller its own bytes back opens nothing', async t => {
  await using scene = await startVictims()
  const { a, b } = scene
  a.middle.onPipe = ({ agent }) => join(agent, agent)
  const error = await failure(a, b.key.id)
  passAgain(a)
  t.is(error.code, 'peer-unreachable')
  t.regex(error.message, /TLS handshake failed/)
  await tell(a, b, 'after all')
  t.deepEqual(b.heard, ['after all'])
})
