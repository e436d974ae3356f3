import test from 'ava'
import { Strangers } from '../../../../agent/trust/strangers.ts'
import { generateKeyPair } from '../../../../common/platform/ed25519.ts'

test('the last few strangers are known, newest first, until they are trusted or a day is over', t => {
  const strangers = new Strangers()
  const ids = Array.from({ length: 6 }, () => generateKeyPair().id)
  ids.forEach((id, at) => void strangers.note(id, at))
  const known = (now: number, trusted?: string) => strangers.list(id => id === trusted, now).map(({ id }) => id)
  t.deepEqual(known(6), ids.slice(2).toReversed())
  t.deepEqual(known(6, ids[5]), ids.slice(2, 5).toReversed())
  const [, , third] = ids
  if (third) strangers.note(third, 7)
  t.is(known(8)[0], third)
  t.deepEqual(known(7 + 24 * 3_600_000), [])
})
