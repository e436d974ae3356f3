import test from 'ava'
import { isKnockFor, KNOCK_BYTES, makeKnock } from '../../../../agent/path/knock.ts'
import { systemRandom } from '../../../../common/platform/random.ts'
import { ALICE, BOB } from '../../../vectors/keys.ts'
import { KNOCK } from '../../../vectors/knock.ts'

test('a knock is made as its vector', t => {
  const counting = { ...systemRandom, bytes: (length: number) => Uint8Array.from({ length }, (_, i) => i) }
  t.deepEqual(Buffer.from(makeKnock(BOB.id, counting)), KNOCK)
})

test('a knock opens the door of the one it was made for, and no other', t => {
  const knock = makeKnock(ALICE.id, systemRandom)
  t.is(knock.length, KNOCK_BYTES)
  t.true(isKnockFor(ALICE.id, knock))
  t.false(isKnockFor(BOB.id, knock))
  t.notDeepEqual(makeKnock(ALICE.id, systemRandom), knock)
})

test('with any bit changed, or any other length, it opens none', t => {
  for (let bit = 0; bit < KNOCK_BYTES * 8; bit++) {
    const changed = Buffer.from(KNOCK)
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    t.false(isKnockFor(BOB.id, changed))
  }
  for (const length of [0, 31, 33]) t.false(isKnockFor(BOB.id, Buffer.alloc(length)))
})
