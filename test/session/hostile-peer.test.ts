import { once } from 'node:events'
import type { TLSSocket } from 'node:tls'
import test from 'ava'
import { createSealer } from '../../agent/path/seal.ts'
import type { PathLink } from '../../agent/session/path-link.ts'
import { Session } from '../../agent/session/session.ts'
import type { SessionStream } from '../../agent/session/stream.ts'
import { MAX_STREAMS } from '../../agent/session/stream-table.ts'
import { INITIAL_WINDOW_BYTES, WindowBudget } from '../../agent/session/window.ts'
import { CulvertError } from '../../common/errors.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { systemRandom } from '../../common/platform/random.ts'
import {
  decodeHello,
  decodeReset,
  encodeCount,
  encodeFrame,
  encodeHello,
  encodeOpen,
  FRAME,
  type Frame,
  FrameParser,
  MAX_FRAME_PAYLOAD,
} from '../../common/wire/session-frame.ts'
import { ALICE, BOB } from '../vectors/keys.ts'
import { QUIET } from './quiet-events.ts'
import { openLoopback, sealPair } from './sealed-pair.ts'

const VICTIM = { id: ALICE.id, sealer: createSealer(ALICE, systemClock) }
const ATTACKER = { id: BOB.id, sealer: createSealer(BOB, systemClock) }
const FIRST_STREAM = ATTACKER.id < VICTIM.id ? 1 : 2
const over = new CulvertError('session-closed', 'the test is over')
const loopback = await openLoopback()
test.after(() => loopback.close())

interface Victim {
  readonly session: Session
  readonly streams: SessionStream[]
  /** Resolves with the next stream that the peer opens under this name. */
  opened(service: string): Promise<SessionStream>
}

function startVictim(): Victim {
  const streams: SessionStream[] = []
  const waiting = new Map<string, (stream: SessionStream) => void>()
  const session = new Session({
    ownId: VICTIM.id,
    peerId: ATTACKER.id,
    clock: systemClock,
    random: systemRandom,
    budget: new WindowBudget(1 << 20),
    events: {
      ...QUIET,
      onStream(stream) {
        streams.push(stream)
        waiting.get(stream.service)?.(stream)
      },
    },
  })
  return { session, streams, opened: service => new Promise(resolve => waiting.set(service, resolve)) }
}

interface Intrusion {
  readonly raw: TLSSocket
  readonly link: PathLink
  /** Sequenced frames of the attacker's that the victim has had, by its hello. */
  readonly received: number
  /** Why the victim gave the path up. */
  readonly ended: Promise<CulvertError>
}

/** Attaches a path to the session, with greetings exchanged; the attacker's end is raw. */
async function intrude(session: Session): Promise<Intrusion> {
  const [near, far] = await sealPair(await loopback.connect(), ATTACKER, VICTIM)
  session.attach(far, false)
  const link = session.links.at(-1)
  if (!link) throw new CulvertError('internal', 'no link')
  const ended = new Promise<CulvertError>(resolve => {
    const fail = link.fail.bind(link)
    link.fail = reason => {
      resolve(reason)
      fail(reason)
    }
  })
  const hello = {
    minVersion: 1,
    maxVersion: 1,
    features: 0,
    epoch: Uint8Array.of(8, 7, 6, 5, 4, 3, 2, 1),
    peerEpoch: new Uint8Array(8),
    received: 0,
    how: undefined,
  }
  const greeting = nextFrame(near.stream, frame => frame.type === FRAME.hello)
  near.stream.write(encodeHello(hello))
  const { received } = decodeHello((await greeting).payload)
  return { raw: near.stream, link, received, ended }
}

test('a peer that asks for answers and reads none makes us hold no more than 256 KiB', async t => {
  const { session, opened } = startVictim()
  const { raw, link } = await intrude(session)
  raw.pause()
  const pings = Buffer.concat(Array.from({ length: 1_000 }, () => encodeFrame(FRAME.ping, 0, Buffer.alloc(4))))
  const done = opened('last')
  for (let i = 0; i < 400; i++) if (!raw.write(pings)) await once(raw, 'drain')
  raw.write(Buffer.concat([encodeCount(FRAME.resume, 0), encodeOpen(FIRST_STREAM, 'last')]))
  await done
  const { writableLength } = link.path.stream
  t.true(writableLength <= 300 * 1024, `${writableLength} bytes wait`)
  session.close(over)
})

for (const [what, frames, message] of [
  [
    'more than its credit',
    [
      encodeOpen(FIRST_STREAM, 'x'),
      ...Array.from({ length: Math.ceil((INITIAL_WINDOW_BYTES + 1) / MAX_FRAME_PAYLOAD) }, () =>
        encodeFrame(FRAME.data, FIRST_STREAM, Buffer.alloc(MAX_FRAME_PAYLOAD)),
      ),
    ],
    /more than its credit/,
  ],
  ['a stream of our numbers', [encodeOpen(FIRST_STREAM ^ 3, 'x')], /not its to open/],
  ['stream 0', [encodeOpen(0, 'x')], /not its to open/],
  ['a stream twice', [encodeOpen(FIRST_STREAM, 'x'), encodeOpen(FIRST_STREAM, 'x')], /not its to open/],
  ['an acknowledgement of what was never sent', [encodeCount(FRAME.ack, 1)], /acknowledges frame 1 of 0/],
  ['a frame that leaves a gap', [encodeCount(FRAME.resume, 5), encodeOpen(FIRST_STREAM, 'x')], /frame 5 came when 0/],
  ['a second hello', [encodeFrame(FRAME.hello, 0, Buffer.alloc(33, 1))], /second hello/],
  ['a frame that is too long', [Buffer.from('42003ff900000001', 'hex')], /claims 16377 bytes/],
] as const) {
  test(`${what} ends the path and not the session`, async t => {
    const { session, opened } = startVictim()
    const { raw, ended } = await intrude(session)
    raw.write(Buffer.concat([encodeCount(FRAME.resume, 0), ...frames]))
    const reason = await ended
    t.is(reason.code, 'wire-malformed')
    t.regex(reason.message, message)
    const again = await intrude(session)
    const served = opened('still here')
    const next = FIRST_STREAM + 10
    again.raw.write(Buffer.concat([encodeCount(FRAME.resume, again.received), encodeOpen(next, 'still here')]))
    t.is((await served).id, next)
    session.close(over)
  })
}

test('frames before the hello, and sequenced ones before a resume, end the path', async t => {
  const { session } = startVictim()
  const { raw, ended } = await intrude(session)
  raw.write(encodeOpen(FIRST_STREAM, 'x'))
  t.regex((await ended).message, /before its resume/)
  const [near, far] = await sealPair(await loopback.connect(), ATTACKER, VICTIM)
  session.attach(far, false)
  near.stream.resume()
  near.stream.write(encodeFrame(FRAME.ping, 0, Buffer.alloc(4)))
  await once(far.stream, 'close')
  t.is(session.links.length, 0)
  session.close(over)
})

test('frames of types and flags from a newer version are passed over, and counted where they have a number', async t => {
  const { session, opened } = startVictim()
  const { raw } = await intrude(session)
  const served = opened('after them')
  raw.write(
    Buffer.concat([
      encodeFrame(0x20, 9, Buffer.alloc(100), 0xff),
      encodeCount(FRAME.resume, 0),
      encodeFrame(0x7f, 9, Buffer.alloc(100), 0xff),
      encodeCount(FRAME.resume, 1),
      encodeOpen(FIRST_STREAM, 'after them'),
    ]),
  )
  t.is((await served).service, 'after them')
  session.close(over)
})

test('one stream more than 1,024 is refused as busy, and the others stay', async t => {
  const { session, streams } = startVictim()
  const { raw } = await intrude(session)
  const refused = nextFrame(raw, frame => frame.type === FRAME.reset)
  const opens = Array.from({ length: MAX_STREAMS + 1 }, (_, i) => encodeOpen(FIRST_STREAM + 2 * i, 'x'))
  raw.write(Buffer.concat([encodeCount(FRAME.resume, 0), ...opens]))
  const frame = await refused
  t.is(frame.stream, FIRST_STREAM + 2 * MAX_STREAMS)
  t.is(decodeReset(frame.payload).code, 'busy')
  t.is(streams.length, MAX_STREAMS)
  t.is(session.streamCount, MAX_STREAMS)
  session.close(over)
  t.is(session.streamCount, 0)
})

test('a service name that cannot be sent is refused here, and leaves no stream', t => {
  const { session } = startVictim()
  t.throws(() => session.openStream('x'.repeat(65)), { instanceOf: CulvertError, code: 'service-unknown' })
  t.is(session.streamCount, 0)
  session.close(over)
})

function nextFrame(raw: TLSSocket, wanted: (frame: Frame) => boolean): Promise<Frame> {
  return new Promise(resolve => {
    const parser = new FrameParser(frame => {
      if (wanted(frame)) resolve(frame)
    })
    raw.on('data', (chunk: Buffer) => parser.push(chunk))
  })
}
