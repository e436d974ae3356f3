import { createHash, randomInt } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import test from 'ava'
import { createSealer } from '../../agent/path/seal.ts'
import { join } from '../../agent/service/join.ts'
import { Session } from '../../agent/session/session.ts'
import type { SessionStream } from '../../agent/session/stream.ts'
import { WindowBudget } from '../../agent/session/window.ts'
import { CulvertError } from '../../common/errors.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import { systemRandom } from '../../common/platform/random.ts'
import { QUIET } from './quiet-events.ts'
import { openLoopback, type Side, sealPair } from './sealed-pair.ts'

const STREAMS = 12
const BYTES = 3_000_000

/** Bytes that differ at every place and in every stream: a buffer that is used too early shows. */
function makeData(seed: number): Buffer {
  const data = Buffer.alloc(BYTES)
  for (let at = 0, value = seed * 2_654_435_761; at + 4 <= BYTES; at += 4) {
    value = (Math.imul(value, 1_664_525) + 1_013_904_223) >>> 0
    data.writeUInt32LE(value, at)
  }
  return data
}

/** Pieces of one byte to 200 kB, and now and then a pause that lets the other end run dry. */
async function sendInPieces(socket: Socket, data: Buffer, large: boolean): Promise<void> {
  for (let at = 0; at < data.length; ) {
    const length = large && randomInt(3) > 0 ? randomInt(20_000, 200_000) : randomInt(1, 12_000)
    if (!socket.write(data.subarray(at, at + length))) await once(socket, 'drain')
    at += length
    if (randomInt(6) === 0) await new Promise(resolve => setImmediate(resolve))
  }
  socket.end()
}

/** Takes its time, so that what it is sent stays in the buffers of the agents. */
async function slowHash(socket: Socket): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of socket) {
    hash.update(chunk)
    if (randomInt(8) === 0) await new Promise(resolve => setImmediate(resolve))
  }
  return hash.digest('hex')
}

test('bytes of many streams at once come through unchanged, whatever their pieces and however slow the readers', async t => {
  const loopback = await openLoopback()
  t.teardown(() => loopback.close())
  const sides = [generateKeyPair(), generateKeyPair()].map(key => ({
    id: key.id,
    sealer: createSealer(key, systemClock),
  }))
  const [near, far] = sides as [Side, Side]
  const start = (own: Side, other: Side, onStream: (stream: SessionStream) => void) => {
    const events = { ...QUIET, onStream }
    const budget = new WindowBudget(64 << 20)
    return new Session({ ownId: own.id, peerId: other.id, clock: systemClock, random: systemRandom, budget, events })
  }
  const a = start(near, far, stream => stream.reset('service-unknown', 'no service'))
  const b = start(far, near, stream => {
    void loopback.connect().then(([local, service]) => {
      service.pipe(service)
      stream.accept()
      join(stream, local)
    })
  })
  const [pathA, pathB] = await sealPair(await loopback.connect(), near, far)
  a.attach(pathA, true)
  b.attach(pathB, false)

  await Promise.all(
    Array.from({ length: STREAMS }, async (_, i) => {
      const data = makeData(i + 1)
      const [client, local] = await loopback.connect()
      join(a.openStream('echo'), local)
      const [received] = await Promise.all([slowHash(client), sendInPieces(client, data, i % 2 === 0)])
      t.is(received, createHash('sha256').update(data).digest('hex'), `stream ${i}`)
    }),
  )
  const over = new CulvertError('session-closed', 'the test is over')
  a.close(over)
  b.close(over)
})
