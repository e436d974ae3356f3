import test from 'ava'
import {
  advanceHandshake,
  type HandshakeState,
  type HandshakeTerms,
} from '../../../../agent/rendezvous/relay-handshake.ts'
import { signBytes, verifyBytes } from '../../../../common/platform/ed25519.ts'
import type { RelayMessage } from '../../../../common/wire/relay-message.ts'
import { agentProof, relayProof } from '../../../../common/wire/relay-proof.ts'
import { ALICE, BOB, RELAY } from '../../../vectors/keys.ts'

const relayName = 'relay.example.org:443'
const terms: HandshakeTerms = {
  url: new URL('https://relay.example.org'),
  relayId: RELAY.id,
  identity: ALICE,
  agentNonce: new Uint8Array(32).fill(1),
  software: 'culvert/test',
  instance: new Uint8Array(16),
}
const transcript = {
  relayId: RELAY.id,
  relayName,
  relayNonce: new Uint8Array(32).fill(2),
  agentId: ALICE.id,
  agentNonce: terms.agentNonce,
}
const challenge: RelayMessage = { type: 'challenge', protocols: [1], relay: RELAY.id, nonce: transcript.relayNonce }
const welcome: Extract<RelayMessage, { type: 'welcome' }> = {
  type: 'welcome',
  signature: signBytes(RELAY, relayProof(transcript)),
  observed: undefined,
  stun: [],
  features: [],
  serverTime: 0,
  reconnectWindowMs: 1_000,
  keepAliveMs: 25_000,
}
const expecting: HandshakeState = { name: 'expecting' }

function challenged(): HandshakeState {
  return advanceHandshake(terms, expecting, challenge).state
}

test('a challenge is answered with a proof that names the relay, and its proof makes it welcome', t => {
  const { state, say } = advanceHandshake(terms, expecting, challenge)
  t.is(say?.type, 'hello')
  t.true(say?.type === 'hello' && verifyBytes(ALICE.id, agentProof(transcript), say.signature))
  t.deepEqual(advanceHandshake(terms, state, welcome), { state: { name: 'welcomed', welcome } })
})

test('a member of a network shows the chain of its membership, and who is in none shows nothing', t => {
  const membership = new Uint8Array(225).fill(3)
  t.like(advanceHandshake({ ...terms, membership }, expecting, challenge).say, { type: 'hello', membership })
  t.false('membership' in (advanceHandshake(terms, expecting, challenge).say ?? {}))
})

test('another relay than the config names gets no signature', t => {
  const other: RelayMessage = { ...challenge, relay: BOB.id }
  t.throws(() => advanceHandshake(terms, expecting, other), { code: 'relay-impersonated' })
})

test('a relay without the key that it names is found out at its welcome', t => {
  const forged = { ...welcome, signature: signBytes(BOB, relayProof(transcript)) }
  t.throws(() => advanceHandshake(terms, challenged(), forged), { code: 'relay-impersonated' })
})

test('a welcome without a challenge, a second challenge and a second welcome change nothing', t => {
  t.deepEqual(advanceHandshake(terms, expecting, welcome), { state: expecting })
  const state = challenged()
  t.deepEqual(advanceHandshake(terms, state, challenge), { state })
  const welcomed = advanceHandshake(terms, state, welcome).state
  for (const message of [challenge, { ...welcome, signature: new Uint8Array(64) }]) {
    t.deepEqual(advanceHandshake(terms, welcomed, message), { state: welcomed })
  }
})

test('a relay refuses in words, and keeps us away for a minute at most', t => {
  for (const state of [expecting, challenged()]) {
    const step = advanceHandshake(terms, state, { type: 'refused', reason: 'full', retryAfterMs: 1e9 })
    t.is(step.refusal?.retryAfterMs, 60_000)
    t.is(step.refusal?.error.message, 'relay relay.example.org refuses us: full')
  }
})
