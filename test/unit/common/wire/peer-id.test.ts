import test from 'ava'
import fc from 'fast-check'
import { CulvertError } from '../../../../common/errors.ts'
import { parsePeerId, peerIdFromBytes, peerIdToBytes, shortPeerId } from '../../../../common/wire/peer-id.ts'
import { ALICE, fromHex } from '../../../vectors/keys.ts'

const key = fc.uint8Array({ minLength: 32, maxLength: 32 })

test('the public key of RFC 8032, test 1, is 25njqamc…', t => {
  const bytes = fromHex('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a')
  t.is(String(peerIdFromBytes(bytes)), '25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkena')
  t.is(ALICE.id, peerIdFromBytes(bytes))
  t.is(shortPeerId(ALICE.id), '25njqamcwe')
})

test('every key has one text, and comes back from it', t => {
  fc.assert(
    fc.property(key, bytes => {
      const id = peerIdFromBytes(bytes)
      t.is(parsePeerId(id), id)
      t.deepEqual(peerIdToBytes(id), bytes)
    }),
    { seed: 1 },
  )
})

test('of the 32 last letters only the two without stray bits are taken', t => {
  const taken = [...'abcdefghijklmnopqrstuvwxyz234567'].filter(letter => parsePeerId(`${'a'.repeat(51)}${letter}`))
  t.deepEqual(taken, ['a', 'q'])
})

test('any other text is no peer id', t => {
  const { id } = ALICE
  for (const text of [
    '',
    id.slice(1),
    `${id}a`,
    id.toUpperCase(),
    `${id.slice(1)}1`,
    `${id.slice(1)} `,
    `${id.slice(1)}\n`,
  ]) {
    t.is(parsePeerId(text), undefined, JSON.stringify(text))
  }
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 60 }), text => {
      const parsed = parsePeerId(text)
      t.true(parsed === undefined || peerIdFromBytes(peerIdToBytes(parsed)) === text)
    }),
    { seed: 2 },
  )
})

test('a key of another length has no id', t => {
  for (const length of [0, 31, 33]) {
    t.throws(() => peerIdFromBytes(new Uint8Array(length)), { instanceOf: CulvertError, code: 'wire-malformed' })
  }
})
