import test from 'ava'
import fc from 'fast-check'
import { base32Decode, base32Encode, isBase32 } from '../../../../common/wire/base32.ts'

test('the texts of RFC 4648 §10, lower case and without padding', t => {
  for (const [plain, text] of [
    ['', ''],
    ['f', 'my'],
    ['fo', 'mzxq'],
    ['foo', 'mzxw6'],
    ['foob', 'mzxw6yq'],
    ['fooba', 'mzxw6ytb'],
    ['foobar', 'mzxw6ytboi'],
  ] as const) {
    t.is(base32Encode(Buffer.from(plain)), text)
    t.is(Buffer.from(base32Decode(text)).toString(), plain)
  }
})

test('bytes have one text', t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), bytes => {
      const text = base32Encode(bytes)
      t.true(isBase32(text))
      t.deepEqual(base32Decode(text), bytes)
    }),
    { seed: 1 },
  )
  for (const text of ['mz', 'a', 'abc', 'abcdef', 'MY', 'm1', 'my======', 'mzxx']) t.false(isBase32(text), text)
})
