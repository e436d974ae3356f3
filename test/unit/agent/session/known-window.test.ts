import test from 'ava'
import { KnownWindow } from '../../../../agent/session/known-window.ts'

const MINUTE = 60_000

function known(bytes: number, now = 0): KnownWindow {
  const window = new KnownWindow()
  const first = {}
  window.begin(first, now)
  window.shown(first, bytes, now)
  return window
}

test('what a stream needed is what the next ones begin with, and what needed less changes nothing', t => {
  t.is(new KnownWindow().begin({}, 0), 0)
  const window = known(8_000)
  window.shown({}, 100, MINUTE)
  t.is(window.begin({}, 2 * MINUTE), 8_000)
  window.shown({}, 9_000, 3 * MINUTE)
  t.is(window.begin({}, 3 * MINUTE), 9_000)
})

test('of the streams that did not show yet that they need it two may have it', t => {
  const window = known(8_000)
  const [first, second, third] = [{}, {}, {}]
  t.deepEqual([window.begin(first, 0), window.begin(second, 0), window.begin(third, 0)], [8_000, 8_000, 0])
  window.ended(first)
  t.is(window.begin(third, 0), 8_000)
  t.is(window.begin({}, 0), 0)
  window.shown(second, 5_000, 0)
  t.is(window.begin({}, 0), 8_000)
})

test('it is forgotten after ten minutes, in which no stream needed as much, and with the network', t => {
  const window = known(8_000)
  t.is(window.begin({}, 10 * MINUTE), 8_000)
  t.is(window.begin({}, 10 * MINUTE + 1), 0)
  window.shown({}, 200, 11 * MINUTE)
  t.is(window.begin({}, 11 * MINUTE), 200)
  window.forget()
  const next = known(7_000)
  next.forget()
  t.is(next.begin({}, 0), 0)
})
