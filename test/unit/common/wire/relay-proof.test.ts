import test from 'ava'
import { signBytes, verifyBytes } from '../../../../common/platform/ed25519.ts'
import { agentProof, relayNameOf, relayProof } from '../../../../common/wire/relay-proof.ts'
import { ALICE, BOB, fromHex, RELAY } from '../../../vectors/keys.ts'
import {
  AGENT_PROOF,
  AGENT_SIGNATURE,
  HANDSHAKE,
  RELAY_PROOF,
  RELAY_SIGNATURE,
} from '../../../vectors/relay-messages.ts'

test('agent and relay sign exactly the bytes of the vectors', t => {
  t.deepEqual(agentProof(HANDSHAKE), fromHex(AGENT_PROOF))
  t.deepEqual(relayProof(HANDSHAKE), fromHex(RELAY_PROOF))
  t.deepEqual(Buffer.from(signBytes(ALICE, fromHex(AGENT_PROOF))), fromHex(AGENT_SIGNATURE))
  t.deepEqual(Buffer.from(signBytes(RELAY, fromHex(RELAY_PROOF))), fromHex(RELAY_SIGNATURE))
})

test('a proof holds for its own handshake only: not for another relay, name, nonce, agent or direction', t => {
  const signature = fromHex(AGENT_SIGNATURE)
  t.true(verifyBytes(ALICE.id, agentProof(HANDSHAKE), signature))
  const others = [
    { ...HANDSHAKE, relayId: BOB.id },
    { ...HANDSHAKE, relayName: 'relay.example.org:4430' },
    { ...HANDSHAKE, relayNonce: new Uint8Array(32) },
    { ...HANDSHAKE, agentId: BOB.id },
    { ...HANDSHAKE, agentNonce: new Uint8Array(32) },
  ]
  for (const other of others) t.false(verifyBytes(ALICE.id, agentProof(other), signature))
  t.false(verifyBytes(ALICE.id, relayProof(HANDSHAKE), signature))
})

test('bytes cannot move from the name to its neighbour', t => {
  const longer = { ...HANDSHAKE, relayName: `${HANDSHAKE.relayName}a` }
  t.notDeepEqual(agentProof(longer).subarray(0, 90), agentProof(HANDSHAKE).subarray(0, 90))
})

for (const [url, name] of [
  ['https://relay.example.org', 'relay.example.org:443'],
  ['https://Relay.Example.ORG:8443/v1', 'relay.example.org:8443'],
  ['http://relay.example.org', 'relay.example.org:80'],
  ['wss://relay.example.org', 'relay.example.org:443'],
  ['ws://192.0.2.1:8080', '192.0.2.1:8080'],
  ['http://[2001:DB8::1]', '[2001:db8::1]:80'],
] as const) {
  test(`the name of ${url} is ${name}`, t => {
    t.is(relayNameOf(new URL(url)), name)
  })
}
