import { encode } from '@msgpack/msgpack'
import test from 'ava'
import fc from 'fast-check'
import { nestsDeeperThan } from '../../../../common/wire/msgpack-depth.ts'
import { mutateBytes, seededDraw } from '../../mutate.ts'

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return 0
  const inner = Object.values(value)
  // What is empty announces nothing.
  return inner.length === 0 ? 0 : 1 + Math.max(...inner.map(depthOf))
}

const { value } = fc.letrec(tie => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.string({ maxLength: 300 }),
    fc.double(),
    fc.integer(),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.boolean(),
    fc.constant(null),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(fc.string(), tie('value'), { maxKeys: 20 }),
  ),
}))

test('the depth of any value is seen from its bytes', t => {
  fc.assert(
    fc.property(value, any => {
      const bytes = encode(any, { useBigInt64: true })
      const depth = depthOf(any)
      t.false(nestsDeeperThan(bytes, depth))
      if (depth > 0) t.true(nestsDeeperThan(bytes, depth - 1))
    }),
    { seed: 1, numRuns: 500 },
  )
})

test('it looks at no byte twice, whatever the bytes', t => {
  const draw = seededDraw(1)
  const before = process.cpuUsage()
  for (const fill of [0x00, 0x91, 0xc4, 0xdc, 0xde, 0xdf, 0xff]) {
    const bytes = Buffer.alloc(65_536, fill)
    for (let i = 0; i < 20; i++) nestsDeeperThan(mutateBytes(bytes, draw), 1e9)
  }
  // Of computing, not of waiting for other processes.
  const { user, system } = process.cpuUsage(before)
  t.true(user + system < 5_000_000, `${user + system} µs`)
})
