import { generateKeyPairSync } from 'node:crypto'
import test from 'ava'
import { CulvertError } from '../../../../common/errors.ts'
import {
  generateKeyPair,
  keyPairFromSeed,
  peerIdOfPublicKey,
  publicKeyOf,
  signBytes,
  verifyBytes,
} from '../../../../common/platform/ed25519.ts'
import { peerIdToBytes } from '../../../../common/wire/peer-id.ts'
import { ALICE, BOB, fromHex } from '../../../vectors/keys.ts'

test('keys and signatures are those of RFC 8032, tests 1 and 2', t => {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
  t.is(hex(peerIdToBytes(ALICE.id)), 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a')
  t.is(
    hex(signBytes(ALICE, new Uint8Array())),
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  )
  t.is(
    hex(signBytes(BOB, fromHex('72'))),
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  )
})

test('a pair is made again from its seed', t => {
  const pair = generateKeyPair()
  t.is(keyPairFromSeed(pair.seed).id, pair.id)
  t.not(generateKeyPair().id, pair.id)
})

test('a seed of another length is no key', t => {
  for (const length of [0, 31, 33]) {
    t.throws(() => keyPairFromSeed(new Uint8Array(length)), { instanceOf: CulvertError, code: 'identity-unreadable' })
  }
})

test('only the right key, message and signature verify, and nothing throws', t => {
  const message = Buffer.from('hello')
  const signature = signBytes(ALICE, message)
  t.true(verifyBytes(ALICE.id, message, signature))
  t.false(verifyBytes(BOB.id, message, signature))
  t.false(verifyBytes(ALICE.id, Buffer.from('hellO'), signature))
  for (const bad of [new Uint8Array(64), new Uint8Array(64).fill(255), new Uint8Array(0), new Uint8Array(65)]) {
    t.false(verifyBytes(ALICE.id, message, bad))
  }
})

test('an id leads to its key and back; other kinds of keys have none', t => {
  t.is(peerIdOfPublicKey(publicKeyOf(ALICE.id)), ALICE.id)
  for (const { publicKey } of [
    generateKeyPairSync('x25519'),
    generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    generateKeyPairSync('ed448'),
  ]) {
    t.is(peerIdOfPublicKey(publicKey), undefined)
  }
})
