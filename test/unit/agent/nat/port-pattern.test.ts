import test from 'ava'
import fc from 'fast-check'
import {
  classifyPorts,
  nextPorts,
  type PortPattern,
  portsBetween,
  portToAimAt,
} from '../../../../agent/nat/port-pattern.ts'

const samples = (...ports: readonly number[]) => ports.map((outside, i) => ({ local: 40_000 + 7 * i, outside }))

const CASES: ReadonlyArray<readonly [words: string, ports: readonly number[], pattern: PortPattern | undefined]> = [
  ['two samples say nothing', [5_000, 5_001], undefined],
  ['neighbours', [5_000, 5_001, 5_002], { kind: 'sequential', last: 5_002, step: 1 }],
  ['downwards', [5_009, 5_007, 5_005, 5_003], { kind: 'sequential', last: 5_003, step: -2 }],
  ['with flows of others in between', [20_000, 20_001, 20_004, 20_006], { kind: 'sequential', last: 20_006, step: 1 }],
  [
    'a NAT that keeps parity, with flows of others',
    [20_000, 20_002, 20_006, 20_008],
    { kind: 'sequential', last: 20_008, step: 2 },
  ],
  [
    'the range began again within eight',
    [65_533, 65_534, 65_535, 1_024, 1_025, 1_026, 1_027, 1_028],
    { kind: 'sequential', last: 1_028, step: 1 },
  ],
  ['the range began again within three', [65_534, 65_535, 1_024], { kind: 'random' }],
  ['up and down', [5_000, 5_010, 5_003], { kind: 'random' }],
  ['one port for all', [5_000, 5_000, 5_000], { kind: 'random' }],
  [
    'a small range',
    [30_100, 30_900, 30_400, 30_250, 30_700, 30_300, 30_650, 30_500],
    { kind: 'block', window: { first: 29_900, count: 1_201 } },
  ],
  ['a small range, but five samples', [30_100, 30_900, 30_400, 30_250, 30_700], { kind: 'random' }],
  ['anything', [31_337, 2_048, 60_111, 44_000, 9_999, 17_001, 52_222, 23_456], { kind: 'random' }],
]

for (const [words, ports, pattern] of CASES) {
  test(`outside ports: ${words}`, t => {
    t.deepEqual(classifyPorts(samples(...ports)), pattern)
  })
}

test('a NAT that keeps the inside port where it is free is told by just that', t => {
  const kept = [40_000, 51_000, 47_123].map(port => ({ local: port, outside: port }))
  t.deepEqual(classifyPorts(kept), { kind: 'preserved' })
  t.deepEqual(portsBetween({ local: 4_000, outside: 4_000 }, { local: 4_002, outside: 4_002 }, 4_001), {
    first: 4_001,
    count: 1,
  })
})

test('what goes out between two flows has a port between theirs, in either direction', t => {
  const between = (before: number, after: number) =>
    portsBetween({ local: 1, outside: before }, { local: 3, outside: after }, 2)
  t.deepEqual(between(20_000, 20_002), { first: 20_001, count: 1 })
  t.deepEqual(between(20_005, 20_001), { first: 20_002, count: 3 })
  t.is(between(20_000, 20_001), undefined)
  t.is(between(20_000, 20_000), undefined)
  t.is(between(20_000, 50_000), undefined)
})

test('the next ports of a sequence are foretold, and of nothing else', t => {
  t.deepEqual(nextPorts({ kind: 'sequential', last: 20_000, step: 1 }, 8), { first: 20_001, count: 8 })
  t.deepEqual(nextPorts({ kind: 'sequential', last: 20_000, step: -2 }, 4), { first: 19_992, count: 7 })
  t.is(nextPorts({ kind: 'random' }, 8), undefined)
  t.is(portToAimAt({ kind: 'sequential', last: 20_000, step: 1 }, 16), 20_015)
  t.is(portToAimAt({ kind: 'sequential', last: 65_534, step: 1 }, 16), undefined)
  t.is(portToAimAt({ kind: 'preserved' }, 16), undefined)
})

test('eight samples of a NAT that draws from 64,512 ports are hardly ever taken for a pattern', t => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1_024, max: 65_535 }), { minLength: 8, maxLength: 8, size: 'max' }),
      ports => {
        const spread = Math.max(...ports) - Math.min(...ports)
        t.is(classifyPorts(samples(...ports))?.kind, spread < 8_192 ? 'block' : 'random')
      },
    ),
    { seed: 3, numRuns: 300 },
  )
})

test('a window never leaves the ports that NATs give out', t => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1_024, max: 65_535 }),
      fc.integer({ min: -64, max: 64 }),
      fc.integer({ min: 1, max: 64 }),
      (last, step, flows) => {
        const window = nextPorts({ kind: 'sequential', last, step }, flows)
        t.true(window !== undefined && window.first >= 1_024 && window.count >= 1)
      },
    ),
    { seed: 4, numRuns: 300 },
  )
})
