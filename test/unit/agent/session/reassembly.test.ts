import test from 'ava'
import fc from 'fast-check'
import { Reassembly } from '../../../../agent/session/reassembly.ts'
import { type DatagramPart, decodeDatagram } from '../../../../common/wire/datagram.ts'
import { FrameParser } from '../../../../common/wire/session-frame.ts'
import { datagramFrames } from '../../../vectors/session-frames.ts'
import { seededDraw } from '../../mutate.ts'

function partsOf(flow: number, message: number, datagram: Buffer, frameBytes = 1_100) {
  const parts: Array<{ readonly flow: number; readonly part: DatagramPart }> = []
  new FrameParser(frame => {
    const part = decodeDatagram(frame)
    if (!Buffer.isBuffer(part)) parts.push({ flow, part })
  }).push(datagramFrames(flow, message, datagram, frameBytes))
  return parts
}

test('datagrams come out whole and once, whatever the order of their parts, a doubled one included', t => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 2_000, max: 9_000 }), { minLength: 1, maxLength: 6 }),
      fc.nat(),
      (sizes, seed) => {
        const draw = seededDraw(seed)
        const sent = sizes.map((size, i) => Buffer.alloc(size, i + 1))
        const parts = sent.flatMap((datagram, i) => partsOf(i % 3, i, datagram))
        const shuffled = [...parts, ...parts.slice(0, 1)]
          .map(part => ({ part, at: draw(1_000_000) }))
          .sort((a, b) => a.at - b.at)
        const reassembly = new Reassembly()
        const came = shuffled.flatMap(({ part }) => reassembly.add(part.flow, part.part, 0) ?? [])
        t.deepEqual(
          came.map(bytes => bytes[0]).sort(),
          sent.map(bytes => bytes[0]),
        )
        for (const bytes of came) t.true(sent.some(datagram => datagram.equals(bytes)))
      },
    ),
    { seed: 1, numRuns: 200 },
  )
})

test('what misses a part is dropped after two seconds, and counted', t => {
  const reassembly = new Reassembly()
  for (const { flow, part } of partsOf(1, 1, Buffer.alloc(5_000)).slice(1))
    t.is(reassembly.add(flow, part, 0), undefined)
  const [first] = partsOf(1, 1, Buffer.alloc(5_000))
  const [other] = partsOf(1, 2, Buffer.alloc(5_000))
  if (!first || !other) return t.fail('no parts')
  t.is(reassembly.add(1, other.part, 2_000), undefined)
  t.is(reassembly.dropped, 1)
  t.is(reassembly.add(1, first.part, 2_000), undefined)
})

test('parts without end hold no more than a quarter of a mebibyte', t => {
  const reassembly = new Reassembly()
  for (let message = 0; message < 65_536; message++) {
    reassembly.add(message % 500, { message, index: 0, count: 255, bytes: Buffer.alloc(message % 900 || 1) }, 0)
    if (reassembly.cost > 256 * 1024) return t.fail(`${reassembly.cost} bytes held`)
  }
  t.true(reassembly.dropped > 60_000)
  for (let flow = 0; flow < 500; flow++) reassembly.forget(flow)
  t.is(reassembly.cost, 0)
})

test('parts that claim more than a datagram can have are dropped', t => {
  const reassembly = new Reassembly()
  for (let index = 0; index < 5; index++) {
    t.is(reassembly.add(1, { message: 1, index, count: 5, bytes: Buffer.alloc(16_000) }, 0), undefined)
  }
  t.is(reassembly.dropped, 1)
  t.is(reassembly.cost, 0)
})
