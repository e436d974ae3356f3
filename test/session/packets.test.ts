import { randomBytes } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import type { DatagramChannel } from '../../agent/nat/udp-port.ts'
import { createSealer } from '../../agent/path/seal.ts'
import { Session } from '../../agent/session/session.ts'
import type { SessionStream } from '../../agent/session/stream.ts'
import { WindowBudget } from '../../agent/session/window.ts'
import { CulvertError } from '../../common/errors.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import { systemRandom } from '../../common/platform/random.ts'
import { type Draw, mutateBytes, seededDraw } from '../unit/mutate.ts'
import { QUIET } from './quiet-events.ts'
import { openLoopback, sealPair } from './sealed-pair.ts'

const keys = [generateKeyPair(), generateKeyPair()] as const
const [ALICE, BOB] = [
  { id: keys[0].id, sealer: createSealer(keys[0], systemClock) },
  { id: keys[1].id, sealer: createSealer(keys[1], systemClock) },
]
const over = new CulvertError('session-closed', 'the test is over')
const MAX_PACKET_BYTES = 1_172

/** One end of a line of packets. */
class Line implements DatagramChannel {
  readonly maxBytes = MAX_PACKET_BYTES
  readonly sent: Buffer[] = []
  /** What the line makes of a packet: none, itself, or more. */
  carry: (packet: Buffer) => readonly Buffer[] = packet => [packet]
  other: Line | undefined
  #handler: (bytes: Buffer) => void = () => undefined

  send(bytes: Uint8Array): void {
    const packet = Buffer.from(bytes)
    this.sent.push(packet)
    for (const carried of this.carry(packet)) setImmediate(() => this.other?.deliver(carried))
  }

  deliver(packet: Buffer): void {
    this.#handler(packet)
  }

  receive(handler: (bytes: Buffer) => void): void {
    this.#handler = handler
  }

  close(): void {
    this.#handler = () => undefined
  }
}

function startSession(own: 0 | 1, onStream: (stream: SessionStream) => void): Session {
  return new Session({
    ownId: keys[own].id,
    peerId: keys[own === 0 ? 1 : 0].id,
    clock: systemClock,
    random: systemRandom,
    budget: new WindowBudget(64 << 20),
    events: { ...QUIET, onStream },
  })
}

/** Two sessions over one path, whose stream is TCP here, with packets beside it. */
async function createScene(t: ExecutionContext) {
  const loopback = await openLoopback()
  const lines = [new Line(), new Line()] as const
  lines[0].other = lines[1]
  lines[1].other = lines[0]
  const a = startSession(0, stream => stream.reset('service-unknown', 'nothing here'))
  const b = startSession(1, stream => {
    stream.onDatagram = bytes => stream.sendDatagram(bytes)
    stream.accept()
  })
  const sockets = await loopback.connect()
  const [near, far] = await sealPair(sockets, ALICE, BOB)
  a.attach({ ...near, datagrams: lines[0] }, true)
  b.attach({ ...far, datagrams: lines[1] }, false)
  t.teardown(() => {
    a.close(over)
    b.close(over)
    loopback.close()
  })
  const flow = a.openStream('echo', 'datagrams')
  const echo = (bytes: Buffer) =>
    new Promise<Buffer>(resolve => {
      flow.onDatagram = resolve
      flow.sendDatagram(bytes)
    })
  return { a, b, sockets, lines, flow, echo }
}

test('datagrams of every size come back whole, in packets that fit the line', async t => {
  const { flow, echo, lines } = await createScene(t)
  t.deepEqual(await echo(Buffer.from('with the open')), Buffer.from('with the open'))
  await flow.accepted()
  for (const size of [0, 1, 1_000, 1_141, 1_142, 4_096, 16_384, 65_507]) {
    const sent = randomBytes(size)
    t.deepEqual(await echo(sent), sent, `${size} bytes`)
  }
  t.true(lines[0].sent.length > 70)
  t.true(lines[0].sent.every(({ length }) => length <= MAX_PACKET_BYTES))
  t.true(lines[0].sent.every(packet => !packet.includes('with the open')))
})

test('while the stream stalls, datagrams are not kept waiting', async t => {
  const { flow, echo, sockets } = await createScene(t)
  await flow.accepted()
  for (const socket of sockets) socket.pause()
  for (let i = 0; i < 100; i++) t.is(String(await echo(Buffer.from(`${i}`))), `${i}`)
})

test('a line that loses, doubles, reorders and garbles loses datagrams and nothing else', async t => {
  const { a, b, flow, lines } = await createScene(t)
  await flow.accepted()
  const draw = seededDraw(3)
  const held: Buffer[] = []
  for (const line of lines) line.carry = packet => distort(packet, held, draw)
  const came = new Map<string, number>()
  flow.onDatagram = bytes => came.set(String(bytes), (came.get(String(bytes)) ?? 0) + 1)
  const sent = Array.from({ length: 2_000 }, (_, i) => `${i} `.padEnd(i % 3 === 0 ? 2_000 : 30, 'x'))
  for (const [i, text] of sent.entries()) {
    flow.sendDatagram(Buffer.from(text))
    if (i % 20 === 0) await new Promise(resolve => setImmediate(resolve))
  }
  for (const line of lines) line.carry = packet => [packet]
  const last = new Promise<void>(resolve => {
    flow.onDatagram = bytes => {
      if (String(bytes) === 'the last') resolve()
      else came.set(String(bytes), (came.get(String(bytes)) ?? 0) + 1)
    }
  })
  flow.sendDatagram(Buffer.from('the last'))
  await last
  t.true(came.size > 200 && came.size < 1_500, `${came.size} came`)
  t.true([...came].every(([text, count]) => sent.includes(text) && count === 1))
  t.true(a.active?.ready && b.active?.ready)
})

function distort(packet: Buffer, held: Buffer[], draw: Draw): readonly Buffer[] {
  switch (draw(8)) {
    case 0:
      return []
    case 1:
      return [packet, packet]
    case 2:
      held.push(packet)
      return held.length > 5 ? held.splice(0) : []
    case 3:
      return [mutateBytes(packet, draw, 2_000)]
    default:
      return [packet]
  }
}

test('packets of a path that was left are not taken', async t => {
  const { a, flow, echo, lines } = await createScene(t)
  await flow.accepted()
  await echo(Buffer.from('one'))
  const packet = lines[1].sent.at(-1)
  if (!packet) return t.fail('no packet')
  const before = a.traffic.datagramsIn
  lines[0].deliver(packet)
  t.is(a.traffic.datagramsIn, before, 'replayed')
  for (const link of [...a.links]) link.fail(over)
  flow.sendDatagram(Buffer.from('to nobody'))
  lines[0].deliver(packet)
  t.is(a.traffic.datagramsIn, before)
})
