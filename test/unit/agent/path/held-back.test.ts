import test from 'ava'
import { heldBack as judge, type TcpFlow } from '../../../../agent/path/held-back.ts'

const MBIT = 125

const heldBack = (flow: Omit<TcpFlow, 'bufferBytes'>, bufferBytes?: number) => judge({ bufferBytes, ...flow })

test('a line on which nothing is lost holds no sender back', t => {
  t.is(heldBack({ rate: 600 * MBIT, rttMs: 40, resent: 0 }), 'clean')
  t.is(heldBack({ rate: 50 * MBIT, rttMs: 300, resent: 0.0001 }), 'clean')
})

test('where the kernel tells nothing of losses, only a trial can tell', t => {
  t.is(heldBack({ rate: 10 * MBIT, rttMs: 80, resent: undefined }), 'unknown')
})

test('a sender that carries what the formula gives for such losses is held back by them', t => {
  t.is(heldBack({ rate: 3 * MBIT, rttMs: 40, resent: 0.01 }), 'held-back')
  t.is(heldBack({ rate: MBIT, rttMs: 90, resent: 0.02 }), 'held-back')
})

test('one that carries far more than that fills a small line in spite of them', t => {
  for (const [mbit, rttMs, resent] of [
    [92, 16, 0.001],
    [23, 40, 0.01],
    [7.5, 90, 0.02],
    [2.8, 200, 0.03],
    [1.4, 300, 0.05],
  ] as const) {
    t.is(heldBack({ rate: mbit * MBIT, rttMs, resent }), 'unknown', `${mbit} Mbit/s`)
  }
})

test('where a round trip takes what the kernel lets be under way, each loss makes the sender wait', t => {
  t.is(heldBack({ rate: 180 * MBIT, rttMs: 80, resent: 0.002 }), 'held-back')
  t.is(heldBack({ rate: 180 * MBIT, rttMs: 80, resent: 0 }), 'clean')
  t.is(heldBack({ rate: 30 * MBIT, rttMs: 80, resent: 0.002 }), 'unknown')
  t.is(heldBack({ rate: 30 * MBIT, rttMs: 80, resent: 0.002 }, 1024 * 1024), 'held-back')
})
