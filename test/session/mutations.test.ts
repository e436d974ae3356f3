import type { TLSSocket } from 'node:tls'
import test from 'ava'
import { createSealer } from '../../agent/path/seal.ts'
import { Session } from '../../agent/session/session.ts'
import type { SessionStream } from '../../agent/session/stream.ts'
import { WindowBudget } from '../../agent/session/window.ts'
import { CulvertError } from '../../common/errors.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { systemRandom } from '../../common/platform/random.ts'
import { encodeCandidates } from '../../common/wire/candidate.ts'
import {
  decodeHello,
  encodeCount,
  encodeCredit,
  encodeFrame,
  encodeHello,
  encodeIce,
  encodeOpen,
  encodeReset,
  FRAME,
  FrameParser,
  type Hello,
} from '../../common/wire/session-frame.ts'
import { encodeSituation } from '../../common/wire/situation.ts'
import { liveBytes } from '../unit/collect-garbage.ts'
import { type Draw, mutateBytes, randomBytes, seededDraw } from '../unit/mutate.ts'
import { ALICE, BOB } from '../vectors/keys.ts'
import { CANDIDATES, datagramFrames } from '../vectors/session-frames.ts'
import { HOME } from '../vectors/situations.ts'
import { QUIET } from './quiet-events.ts'
import { openLoopback, sealPair } from './sealed-pair.ts'

const SEED = 71_003
const STREAMS = 5_000
const ROUNDS = 5
/** Streams of frames that one session takes, each over a path of its own. */
const PER_SESSION = 20
const MAX_LEFT_BYTES = 24 * 2 ** 20

const VICTIM = { id: ALICE.id, sealer: createSealer(ALICE, systemClock) }
const ATTACKER = { id: BOB.id, sealer: createSealer(BOB, systemClock) }
/** The attacker's streams have odd numbers when its id is the smaller one. */
const FIRST_STREAM = ATTACKER.id < VICTIM.id ? 1 : 2
const EPOCH = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)
/** Whatever the victim says; for a second hello, which is wrong anyway. */
const STRANGER: Hello = {
  minVersion: 1,
  maxVersion: 1,
  features: 0,
  epoch: EPOCH,
  peerEpoch: EPOCH,
  received: 0,
  how: undefined,
}
const over = new CulvertError('session-closed', 'the test is over')

const unhandled: unknown[] = []
process.on('unhandledRejection', reason => unhandled.push(reason))

/** What a peer says that keeps to the rules; `next` is the first stream that it may open. */
function goodFrames(next: number, received: number): readonly Buffer[] {
  return [
    encodeCount(FRAME.resume, received),
    encodeFrame(FRAME.ping, 0, Buffer.of(0, 0, 0, 1)),
    encodeOpen(next, 'echo'),
    encodeFrame(FRAME.data, next, Buffer.alloc(3_000, 'e')),
    encodeOpen(next + 2, 'hold'),
    encodeFrame(FRAME.data, next + 2, Buffer.alloc(20_00, 'h')),
    encodeCredit(next, 100_000),
    encodeFrame(FRAME.accept, next ^ 3),
    encodeCount(FRAME.ack, 0),
    encodeFrame(FRAME.candidates, 0, encodeCandidates(CANDIDATES), 1),
    encodeFrame(FRAME.situation, 0, encodeSituation(HOME)),
    encodeIce(9, { kind: 'candidate', mid: '0', line: 'candidate:1' }),
    encodeIce(9, { kind: 'offer', sdp: 'v=0' }),
    encodeOpen(next + 6, 'flow', 'datagrams'),
    encodeFrame(FRAME.datagram, next + 6, Buffer.alloc(1_000, 'd')),
    datagramFrames(next + 6, received, Buffer.alloc(40_000, 'p'), 16_384),
    encodeFrame(FRAME.end, next),
    encodeReset(next + 2, 'busy', 'enough'),
    encodeOpen(next + 4, 'refuse'),
    encodeFrame(FRAME.bye, 0),
    encodeFrame(0x3f, 7, Buffer.from('from a newer version')),
    encodeFrame(0x7f, 7, Buffer.from('from a newer version')),
  ]
}

const EDGES = [0, 1, 2, 3, 5, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff]
const COUNTS = [0, 1, 2, 7, 1000, 2 ** 32, 2 ** 53 - 1]

/** Well-formed frames that break the rules: wrong streams, wrong order, absurd counts. */
function wildFrame(draw: Draw): Buffer {
  const stream = draw(3) === 0 ? (EDGES[draw(EDGES.length)] ?? 0) : draw(12)
  const count = COUNTS[draw(COUNTS.length)] ?? 0
  switch (draw(14)) {
    case 0:
      return encodeOpen(stream, ['echo', 'hold', 'refuse', ''][draw(4)] ?? '')
    case 1:
      return encodeFrame(FRAME.data, stream, Buffer.alloc(draw(2) === 0 ? draw(16_377) : draw(20)))
    case 2:
      return encodeCredit(stream, EDGES[draw(EDGES.length)] ?? 0)
    case 3:
      return encodeFrame(FRAME.end, stream)
    case 4:
      return encodeReset(stream, 'stream-reset', 'wild')
    case 5:
      return encodeFrame(FRAME.accept, stream)
    case 6:
      return encodeCount(FRAME.resume, draw(4) === 0 ? count : draw(30))
    case 7:
      return encodeCount(FRAME.ack, draw(3) === 0 ? count : draw(6))
    case 8:
      return encodeFrame(FRAME.bye, stream)
    case 9:
      return encodeFrame(
        [FRAME.candidates, FRAME.ice, FRAME.situation, FRAME.record][draw(4)] ?? 0,
        stream,
        randomBytes(draw(40), draw),
        draw(5),
      )
    case 10:
      return encodeFrame([FRAME.ping, FRAME.pong][draw(2)] ?? 0, stream, randomBytes(draw(6), draw))
    case 11:
      return encodeFrame(draw(256), stream, randomBytes(draw(40), draw), draw(256))
    case 12:
      return encodeFrame(FRAME.datagram, stream, randomBytes(draw(2) === 0 ? draw(16_377) : draw(8), draw), draw(3))
    default:
      return greet(draw, STRANGER).hello
  }
}

/** The attacker's hello, and the number that its next sequenced frame then has. */
function greet(draw: Draw, victim: Hello): { readonly hello: Buffer; readonly next: number } {
  // Now and then the attacker restarted, or claims absurd things.
  const restarted = draw(8) === 0
  const hello = encodeHello({
    minVersion: 1,
    maxVersion: 1,
    features: draw(2),
    epoch: restarted ? randomBytes(8, draw) : EPOCH,
    peerEpoch: draw(4) === 0 ? new Uint8Array(8) : victim.epoch,
    received: draw(8) === 0 ? (COUNTS[draw(COUNTS.length)] ?? 0) : 0,
    how: 'lan',
  })
  return { hello, next: restarted ? 0 : victim.received }
}

/** One stream of frames to throw at a session. */
function hostileStream(draw: Draw, turn: number, victim: Hello): Buffer {
  const { hello, next } = greet(draw, victim)
  const good = goodFrames(FIRST_STREAM + 8 * turn, next)
  if (draw(2) === 0) {
    const frames = [...good]
    for (let changes = 1 + draw(6); changes > 0; changes--) {
      frames.splice(1 + draw(frames.length), draw(2), ...Array.from({ length: 1 + draw(4) }, () => wildFrame(draw)))
    }
    return Buffer.concat([hello, ...frames])
  }
  // Mutants that begin well get further.
  const bytes = Buffer.concat([hello, ...good])
  const from = draw(3) === 0 ? 0 : draw(bytes.length)
  return Buffer.concat([bytes.subarray(0, from), mutateBytes(bytes.subarray(from), draw)])
}

async function firstHello(stream: TLSSocket): Promise<Hello> {
  const { promise, resolve } = Promise.withResolvers<Hello>()
  const parser = new FrameParser(frame => {
    if (frame.type === FRAME.hello) resolve(decodeHello(frame.payload))
  })
  const take = (chunk: Buffer) => parser.push(chunk)
  stream.on('data', take)
  const hello = await promise
  stream.off('data', take)
  return hello
}

function serve(stream: SessionStream): void {
  stream.on('error', () => undefined)
  if (stream.service === 'refuse') {
    stream.reset('not-authorized', 'no')
    return
  }
  stream.accept()
  if (stream.kind === 'datagrams') stream.onDatagram = bytes => stream.sendDatagram(bytes)
  else if (stream.service === 'echo') stream.pipe(stream)
}

function startVictim(budget: WindowBudget): Session {
  const session = new Session({
    ownId: VICTIM.id,
    peerId: ATTACKER.id,
    clock: systemClock,
    random: systemRandom,
    budget,
    events: { ...QUIET, onStream: serve },
  })
  // Streams of its own, so that acknowledgements, credit and resets for them have something to hit.
  for (const size of [10, 100_000, 300_000]) {
    const stream = session.openStream('upload')
    stream.on('error', () => undefined)
    stream.accepted().catch(() => undefined)
    stream.resume()
    stream.write(Buffer.alloc(size))
  }
  return session
}

for (let round = 0; round < ROUNDS; round++) {
  test.serial(`a session survives ${STREAMS / ROUNDS} hostile streams of frames, part ${round + 1}`, async t => {
    const loopback = await openLoopback()
    const budget = new WindowBudget(8 << 20)
    const before = liveBytes()
    let session = startVictim(budget)
    let peakBytes = 0
    let refused = 0
    for (let i = 0; i < STREAMS / ROUNDS; i++) {
      const seed = SEED + round * STREAMS + i
      const turn = i % PER_SESSION
      if (turn === 0) {
        session.close(over)
        t.is(session.streamCount, 0, `seed ${seed}`)
        session = startVictim(budget)
      }
      const [near, far] = await sealPair(await loopback.connect(), ATTACKER, VICTIM)
      session.attach(far, false)
      const link = session.links.at(-1)
      if (!link) return t.fail('no link')
      if (!link) throw new Error('the session took no path')
      const ended = new Promise<CulvertError>(resolve => {
        const fail = link.fail.bind(link)
        link.fail = reason => {
          resolve(reason)
          fail(reason)
        }
        const leave = link.leave.bind(link)
        link.leave = () => {
          leave()
          resolve(over)
        }
      })
      const victim = await firstHello(near.stream)
      near.stream.resume()
      near.stream.end(hostileStream(seededDraw(seed), turn, victim))
      const reason = await ended
      if (reason.code === 'wire-malformed') refused++
      // What the link did not expect itself it wraps: that would be a fault of ours, found by accident.
      if (/cannot read/.test(reason.message)) {
        t.log(reason.cause)
        t.fail(`seed ${seed}: ${reason.message}`)
        break
      }
      near.stream.destroy()
      if (i % 100 === 99) peakBytes = Math.max(peakBytes, process.memoryUsage().rss)
    }
    session.close(over)
    t.is(budget.takenBytes, 0)
    t.deepEqual(unhandled, [])
    t.true(refused > STREAMS / ROUNDS / 10, `only ${refused} refused`)
    t.true(peakBytes < 512 * 2 ** 20, `${peakBytes} bytes resident`)
    loopback.close()
    const left = liveBytes() - before
    t.true(left < MAX_LEFT_BYTES, `${left} bytes left`)
    t.log(`${refused} refused, ${left} bytes left, ${Math.round(peakBytes / 2 ** 20)} MiB resident`)
  })
}
