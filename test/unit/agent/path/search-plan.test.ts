import test from 'ava'
import { ALL_PORTS, type PortWindow } from '../../../../agent/nat/port-pattern.ts'
import { entriesForSearch, planHardSide, portsInRandomOrder } from '../../../../agent/path/search-plan.ts'
import type { Random } from '../../../../common/platform/random.ts'
import { seededDraw } from '../../mutate.ts'

const seeded = (seed: number) => {
  const draw = seededDraw(seed)
  return {
    bytes: (length: number) => new Uint8Array(length),
    integer: (low: number, high: number) => low + draw(high - low),
  }
}

const first = (count: number, window: PortWindow, random: Random): readonly number[] => {
  const ports: number[] = []
  for (const port of portsInRandomOrder(window, random)) if (ports.push(port) === count) break
  return ports
}

test('the order has every port of a window once', t => {
  for (const window of [{ first: 7, count: 1 }, { first: 20_000, count: 1_000 }, ALL_PORTS]) {
    const order = [...portsInRandomOrder(window, seeded(1))]
    t.is(order.length, window.count)
    t.deepEqual(
      order.toSorted((a, b) => a - b),
      Array.from({ length: window.count }, (_, i) => window.first + i),
    )
  }
})

test('two searches take different orders, each spread over the window', t => {
  const firstOf = (seed: number) => first(200, ALL_PORTS, seeded(seed))
  t.notDeepEqual(firstOf(1), firstOf(2))
  const sorted = firstOf(3).toSorted((a, b) => a - b)
  t.true((sorted[20] ?? 0) < 16_000 && (sorted[180] ?? 0) > 48_000)
})

test('what the ports follow decides how many flows the hard side opens', t => {
  const window = { first: 30_000, count: 1_200 }
  t.deepEqual(planHardSide({ kind: 'random' }, 1_500), { kind: 'spread', sockets: 256, window: ALL_PORTS })
  t.deepEqual(planHardSide({ kind: 'block', window }, 1_500), { kind: 'spread', sockets: 64, window })
  t.deepEqual(planHardSide({ kind: 'sequential', last: 7_000, step: 1 }, 1_500), { kind: 'sandwich' })
  t.deepEqual(planHardSide({ kind: 'preserved' }, 1_500), { kind: 'sandwich' })
})

test('a search leaves room in the budget for what else the agent has open', t => {
  t.is(entriesForSearch(1_500), 1_400)
  t.is(entriesForSearch(50), 0)
  t.deepEqual(planHardSide({ kind: 'random' }, 300), { kind: 'spread', sockets: 100, window: ALL_PORTS })
})

test('with 256 flows of 64,512 ports and 1,400 probes one search in two hundred finds nothing', t => {
  let missed = 0
  for (let run = 0; run < 400; run++) {
    const random = seeded(1_000 + run)
    const open = new Set(first(256, ALL_PORTS, random))
    if (!first(1_400, ALL_PORTS, random).some(port => open.has(port))) missed++
  }
  t.true(missed <= 6, `${missed} of 400`)
})
