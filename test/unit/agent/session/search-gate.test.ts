import test from 'ava'
import { SearchGate } from '../../../../agent/session/search-gate.ts'
import { createLog } from '../../../../common/platform/log.ts'
import { type PeerId, peerIdFromBytes } from '../../../../common/wire/peer-id.ts'
import { FakeClock } from '../../fake-clock.ts'

const [A, B, C] = [peer(1), peer(2), peer(3)]

function peer(byte: number): PeerId {
  return peerIdFromBytes(new Uint8Array(32).fill(byte))
}

function scene() {
  const clock = new FakeClock()
  const lines: string[] = []
  const log = createLog({ level: 'debug', style: 'words', write: line => lines.push(line) })
  return { clock, lines, gate: new SearchGate(clock, log), never: new AbortController().signal }
}

test('one search at a time', t => {
  const { gate } = scene()
  const first = gate.enter(A)
  t.truthy(first)
  t.is(gate.enter(A), undefined)
  first?.[Symbol.dispose]()
  const second = gate.enter(A)
  t.truthy(second)
  first?.[Symbol.dispose]()
  t.true(gate.taken, 'leaving twice does not open it for a third')
})

test('whoever was turned away comes before one that had it, for as long as it may take to come back', t => {
  const { gate, clock } = scene()
  const first = gate.enter(A)
  t.is(gate.enter(B), undefined)
  first?.[Symbol.dispose]()
  t.is(gate.enter(A), undefined, 'B is expected')
  const second = gate.enter(B)
  t.truthy(second)
  second?.[Symbol.dispose]()
  const third = gate.enter(A)
  t.is(gate.enter(B), undefined)
  third?.[Symbol.dispose]()
  clock.advance(12_000)
  t.truthy(gate.enter(A), 'B has not come back')
})

test('who waits enters as soon as the gate is free, the one with the smallest share first', async t => {
  const { gate, clock, never } = scene()
  const first = gate.enter(A)
  const again = gate.turn(A, never)
  const other = gate.turn(B, never)
  clock.advance(10_000)
  first?.[Symbol.dispose]()
  const second = await other
  t.truthy(second)
  second?.[Symbol.dispose]()
  const third = await again
  t.truthy(third)
  third?.[Symbol.dispose]()
  t.is(clock.timers, 0)
})

test('who waits behind a peer that was turned away and does not come back enters all the same', async t => {
  const { gate, clock, never } = scene()
  const first = gate.enter(A)
  t.is(gate.enter(B), undefined)
  const again = gate.turn(A, never)
  first?.[Symbol.dispose]()
  t.false(gate.taken)
  clock.advance(12_000)
  t.truthy(await again)
})

test('who gives up waiting is let in no more', async t => {
  const { gate } = scene()
  const first = gate.enter(A)
  const stop = new AbortController()
  const waiting = gate.turn(B, stop.signal)
  stop.abort()
  t.is(await waiting, undefined)
  t.is(await gate.turn(B, stop.signal), undefined)
  first?.[Symbol.dispose]()
  t.false(gate.taken)
})

test('a peer that asks ten times a second, and never finds anything, leaves the others their share', t => {
  const { gate, clock } = scene()
  const held = new Map<PeerId, number>([A, B, C].map(id => [id, 0]))
  const asksAt = new Map<PeerId, number>()
  let inside: { readonly id: PeerId; readonly entered: Disposable; readonly until: number } | undefined
  for (let now = 0; now < 600_000; now += 100) {
    clock.advance(100)
    if (inside && now >= inside.until) {
      inside.entered[Symbol.dispose]()
      inside = undefined
    }
    // A comes first each time; the others come back as an honest peer does.
    for (const id of [A, B, C]) {
      if (now < (asksAt.get(id) ?? 0)) continue
      asksAt.set(id, id === A ? 0 : now + 8_000)
      const entered = gate.enter(id)
      if (entered) inside = { id, entered, until: now + 16_000 }
    }
    if (inside) held.set(inside.id, (held.get(inside.id) ?? 0) + 100)
  }
  const [bad = 0, ...others] = held.values()
  for (const share of others) t.true(share > 0.6 * bad, `${share} ms beside ${bad} ms`)
})

test('a search that does not end loses its place in time, is told so, and is logged', async t => {
  const { gate, clock, lines, never } = scene()
  const hangs = gate.enter(A)
  const waiting = gate.turn(B, never)
  clock.advance(89_999)
  t.false(hangs?.overdue.aborted)
  t.deepEqual(lines, [])
  clock.advance(1)
  t.true(hangs?.overdue.aborted)
  t.is(lines.length, 1)
  t.regex(lines[0] ?? '', /^warn .*did not end.*afterMs=90000/)
  const next = await waiting
  t.truthy(next)
  hangs?.[Symbol.dispose]()
  t.true(gate.taken, 'what it disposes of late is not its own any more')
  next?.[Symbol.dispose]()
  t.false(gate.taken)
  t.false(next?.overdue.aborted)
  t.is(clock.timers, 0)
})

test('a place that was given to somebody who does not look any more is free again in time', async t => {
  const { gate, clock, never } = scene()
  const first = gate.enter(A)
  const stop = new AbortController()
  const admitted = gate.turn(B, stop.signal)
  const after = gate.turn(C, never)
  first?.[Symbol.dispose]()
  // Let in already: what comes now takes nothing back, and nobody disposes of the place.
  stop.abort()
  t.truthy(await admitted)
  clock.advance(90_000)
  t.truthy(await after)
})

test('a thousand who gave up waiting leave nothing behind', async t => {
  const { gate, clock, never } = scene()
  const first = gate.enter(A)
  const stop = new AbortController()
  const waiting = Array.from({ length: 1_000 }, () => gate.turn(B, stop.signal))
  const last = gate.turn(C, never)
  stop.abort()
  t.true((await Promise.all(waiting)).every(place => place === undefined))
  first?.[Symbol.dispose]()
  const entered = await last
  t.truthy(entered)
  entered?.[Symbol.dispose]()
  t.false(gate.taken)
  t.is(clock.timers, 0)
})

test('agents that want each other while each is taken do not wait for one another: all are turned away and come back', t => {
  const { clock } = scene()
  const log = createLog({ level: 'error', style: 'words', write: () => undefined })
  const [a, b] = [new SearchGate(clock, log), new SearchGate(clock, log)]
  const [own, other] = [a.enter(B), b.enter(C)]
  t.is(b.enter(A), undefined, 'b says at once that it is busy')
  own?.[Symbol.dispose]()
  other?.[Symbol.dispose]()
  clock.advance(4_000)
  t.truthy(a.enter(B))
  t.truthy(b.enter(A), 'the turn of who was turned away is kept')
})
