import test from 'ava'
import { guestOf, lanKeyOf } from '../../../../agent/join/guest-key.ts'
import { signBytes } from '../../../../common/platform/ed25519.ts'
import {
  decodeJoinAnswer,
  decodeJoinRequest,
  encodeJoinAnswer,
  encodeJoinRequest,
  joinProof,
  MAX_JOIN_ANSWER_BYTES,
  MAX_JOIN_REQUEST_BYTES,
  MAX_JOIN_STATEMENTS,
} from '../../../../common/wire/join-message.ts'
import { MAX_STATEMENT_BYTES } from '../../../../common/wire/member-statement.ts'
import {
  GUEST,
  INVITE,
  JOIN_ADMITTED,
  JOIN_PROOF,
  JOIN_REFUSED,
  JOIN_REQUEST,
  LAN_KEY,
} from '../../../vectors/invites.ts'
import { ALICE, BOB, fromHex, RELAY } from '../../../vectors/keys.ts'

const malformed = { code: 'wire-malformed' } as const

test('the secret of a code makes the guest and the LAN key of the vectors', t => {
  t.is(String(guestOf(INVITE.secret).id), GUEST)
  t.deepEqual(Buffer.from(lanKeyOf(INVITE.secret)), fromHex(LAN_KEY))
})

test('a request is the bytes of the vector, signed over what stands there', t => {
  const guest = guestOf(INVITE.secret).id
  const exporter = Buffer.alloc(32, 0x55)
  const proof = joinProof({ network: ALICE.id, inviter: BOB.id, guest, peer: RELAY.id, exporter })
  t.deepEqual(Buffer.from(proof), fromHex(JOIN_PROOF))
  const request = { peer: RELAY.id, name: 'attic', signature: signBytes(RELAY, proof) }
  t.deepEqual(encodeJoinRequest(request), fromHex(JOIN_REQUEST))
  t.deepEqual(decodeJoinRequest(fromHex(JOIN_REQUEST)), request)
})

test('answers are the bytes of the vectors', t => {
  const statements = [new Uint8Array([0xab, 0xcd]), new Uint8Array([0xef])]
  const admitted = { admitted: true, secret: new Uint8Array(32).fill(7), statements } as const
  t.deepEqual(encodeJoinAnswer(admitted), fromHex(JOIN_ADMITTED))
  t.deepEqual(decodeJoinAnswer(fromHex(JOIN_ADMITTED)), admitted)
  const refused = { admitted: false, refusal: 'used', words: 'it is used' } as const
  t.deepEqual(encodeJoinAnswer(refused), fromHex(JOIN_REFUSED))
  t.deepEqual(decodeJoinAnswer(fromHex(JOIN_REFUSED)), refused)
})

test('a refusal of a later version is one for now', t => {
  t.like(decodeJoinAnswer(fromHex('01 63 0002 6e6f')), { admitted: false, refusal: 'later', words: 'no' })
})

test('a name that is none, another version and what is cut off are malformed', t => {
  const bytes = fromHex(JOIN_REQUEST)
  t.throws(() => decodeJoinRequest(fromHex(JOIN_REQUEST.replace('6174746963', '612f746963'))), malformed)
  t.throws(() => decodeJoinRequest(Buffer.concat([Buffer.from([2]), bytes.subarray(1)])), malformed)
  for (let length = 0; length < bytes.length; length++) {
    t.throws(() => decodeJoinRequest(bytes.subarray(0, length)), malformed)
  }
})

test('the largest messages are as large as is said', t => {
  const largest = encodeJoinRequest({ peer: RELAY.id, name: 'x'.repeat(63), signature: new Uint8Array(64) })
  t.is(largest.length, MAX_JOIN_REQUEST_BYTES)
  const statements = Array.from({ length: MAX_JOIN_STATEMENTS + 1 }, () => new Uint8Array(MAX_STATEMENT_BYTES))
  const answer = encodeJoinAnswer({ admitted: true, secret: new Uint8Array(32), statements })
  t.true(answer.length <= MAX_JOIN_ANSWER_BYTES)
  t.is(answer.length, 2 + 32 + 2 + MAX_JOIN_STATEMENTS * (2 + MAX_STATEMENT_BYTES))
})
