import test from 'ava'
import { ReachBook } from '../../../../agent/nat/reach-book.ts'
import { systemRandom } from '../../../../common/platform/random.ts'
import { reachAnswer, reachProbe } from '../../../../common/wire/reach.ts'
import { ALICE, BOB } from '../../../vectors/keys.ts'
import { REACH_ANSWER, REACH_PROBE } from '../../../vectors/reach.ts'
import { mutateBytes, seededDraw } from '../../mutate.ts'

const counting = { ...systemRandom, bytes: (length: number) => Uint8Array.from({ length }, (_, i) => i) }

test('a probe that is expected is answered and noted, on its own transport and as long as it is expected', t => {
  const book = new ReachBook(BOB.id, systemRandom)
  const expected = book.expect('tcp')
  const probe = reachProbe(BOB.id, expected.nonce)
  t.is(book.answerTo('udp', probe), undefined)
  t.false(expected.seen)
  t.deepEqual(book.answerTo('tcp', probe), reachAnswer(BOB.id, expected.nonce))
  t.true(expected.seen)
  expected[Symbol.dispose]()
  t.is(book.answerTo('tcp', probe), undefined)
})

test('a probe for somebody else, or with another nonce, gets nothing', t => {
  const book = new ReachBook(BOB.id, systemRandom)
  const expected = book.expect('tcp')
  t.is(book.answerTo('tcp', reachProbe(ALICE.id, expected.nonce)), undefined)
  t.is(book.answerTo('tcp', reachProbe(BOB.id, systemRandom.bytes(16))), undefined)
  t.is(book.answerTo('tcp', reachProbe(BOB.id, expected.nonce).subarray(0, 31)), undefined)
  t.false(expected.seen)
})

test('no more than eight are expected; the oldest gives way', t => {
  const book = new ReachBook(BOB.id, systemRandom)
  const all = Array.from({ length: 9 }, () => book.expect('tcp'))
  const answered = all.map(({ nonce }) => book.answerTo('tcp', reachProbe(BOB.id, nonce)) !== undefined)
  t.deepEqual(answered, [false, ...Array(8).fill(true)])
})

test('20,000 mutations of a probe that is expected: only the probe itself is answered', t => {
  const book = new ReachBook(BOB.id, counting)
  const expected = book.expect('tcp')
  for (let seed = 0; seed < 20_000; seed++) {
    const mutant = mutateBytes(REACH_PROBE, seededDraw(seed))
    const answer = book.answerTo('tcp', mutant)
    if ((answer !== undefined) !== REACH_PROBE.equals(mutant)) t.fail(mutant.toString('hex'))
  }
  t.deepEqual(Buffer.from(book.answerTo('tcp', REACH_PROBE) ?? []), REACH_ANSWER)
  t.true(expected.seen)
})
