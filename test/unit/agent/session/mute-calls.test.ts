import test from 'ava'
import { areMute, countMuteCalls } from '../../../../agent/session/mute-calls.ts'
import { CulvertError, type ErrorCode } from '../../../../common/errors.ts'

const after = (...calls: readonly (readonly [ErrorCode, number])[]) =>
  areMute(calls.reduce((count, [code, ms]) => countMuteCalls(count, new CulvertError(code, 'so it is'), ms), 0))

test('three handshakes in a row that nothing came of are a sign, whether out of time or given up', t => {
  t.false(after(['timed-out', 8_000], ['timed-out', 8_000]))
  t.true(after(['timed-out', 8_000], ['aborted', 4_750], ['peer-unreachable', 7_990]))
})

test('a peer that is busy with such calls takes nothing back', t => {
  t.true(after(['timed-out', 8_000], ['timed-out', 8_000], ['timed-out', 8_000], ['busy', 40]))
})

test('one that was given up soon says nothing, and one that failed otherwise begins anew', t => {
  t.false(after(['timed-out', 8_000], ['aborted', 300], ['aborted', 300], ['timed-out', 8_000]))
  t.false(after(['timed-out', 8_000], ['timed-out', 8_000], ['peer-refused', 3_000], ['timed-out', 8_000]))
})
