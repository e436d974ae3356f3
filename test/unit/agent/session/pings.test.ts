import test from 'ava'
import { Pings } from '../../../../agent/session/pings.ts'

const MAX_PINGS = 64

test('one late answer moves the round trip by an eighth, and leaves the least as it was', t => {
  const pings = new Pings()
  const told: (number | undefined)[] = []
  t.true(
    pings.end(
      pings.begin(0, rttMs => told.push(rttMs)),
      20,
    ),
  )
  t.true(
    pings.end(
      pings.begin(100, rttMs => told.push(rttMs)),
      200,
    ),
  )
  t.deepEqual(told, [20, 100])
  t.is(pings.rttMs, 30)
  t.is(pings.leastRttMs, 20)
  t.is(pings.pongAt, 200)
})

test('an answer to nothing, and a second one, say nothing', t => {
  const pings = new Pings()
  const id = pings.begin(0, () => undefined)
  t.false(pings.end(id + 1, 5))
  t.true(pings.end(id, 10))
  t.false(pings.end(id, 5_000))
  t.is(pings.rttMs, 10)
})

test('of too many pings the oldest is given up, and whoever waits for it is told', t => {
  const pings = new Pings()
  const given: number[] = []
  const ids = Array.from({ length: MAX_PINGS }, (_, place) => pings.begin(place, () => given.push(place)))
  t.true(pings.full)
  pings.begin(MAX_PINGS, () => undefined)
  t.deepEqual(given, [0])
  t.false(pings.end(ids[0] ?? 0, 100))
})

test('who waits when the path goes is told that there is no answer', t => {
  const pings = new Pings()
  const told: (number | undefined)[] = []
  pings.begin(0, rttMs => told.push(rttMs))
  pings.giveUp()
  t.deepEqual(told, [undefined])
  t.false(pings.full)
})
