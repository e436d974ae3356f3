import test from 'ava'
import { generateKeyPair, signBytes } from '../../../common/platform/ed25519.ts'
import { agentProof } from '../../../common/wire/relay-proof.ts'
import { type Hello, judgeHello, judgeProof, reconnectWindowMs } from '../../../relay/admission.ts'

const relay = generateKeyPair()
const agent = generateKeyPair()
const relayNonce = new Uint8Array(32).fill(1)
const nonce = new Uint8Array(32).fill(2)
const relayName = 'relay.example.org:443'
const names = { url: relayName, certificate: undefined, addresses: [] }
const local = { address: '192.0.2.1', port: 8080 }
const terms = { relayId: relay.id, relayNonce, names, local, admit: 'anyone' } as const
const handshake = { relayId: relay.id, relayName, relayNonce, agentId: agent.id, agentNonce: nonce }

const good: Hello = {
  type: 'hello',
  protocol: 1,
  peer: agent.id,
  nonce,
  relayName,
  signature: signBytes(agent, agentProof(handshake)),
  software: 'test',
  instance: new Uint8Array(8),
}

test('a signed hello is admitted, with the handshake that the relay answers', t => {
  t.deepEqual(judgeHello(good, terms), { admitted: true, handshake })
  t.deepEqual(judgeProof(good, handshake), { admitted: true, handshake })
  t.true(judgeHello(good, { ...terms, admit: [agent.id] }).admitted)
})

const refused = [
  ['another protocol', { ...good, protocol: 2 }, terms, 'version'],
  ['another relay name', { ...good, relayName: 'x:1' }, terms, 'name'],
  [
    'an address that is not the relay’s',
    { ...good, relayName: '203.0.113.99:8080' },
    { ...terms, names: { ...names, url: undefined } },
    'name',
  ],
  [
    'a name changed after signing',
    { ...good, relayName: '192.0.2.1:8080' },
    { ...terms, names: { ...names, url: undefined } },
    'signature',
  ],
  ['a peer that is not listed', good, { ...terms, admit: [relay.id] }, 'admission'],
  ['another peer’s id', { ...good, peer: relay.id }, terms, 'signature'],
  ['another relay’s challenge', good, { ...terms, relayNonce: nonce }, 'signature'],
  ['a hello for another relay', good, { ...terms, relayId: agent.id }, 'signature'],
  ['a changed nonce', { ...good, nonce: relayNonce }, terms, 'signature'],
] as const

for (const [what, hello, given, kind] of refused) {
  test(`${what} is refused: ${kind}`, t => {
    const claim = judgeHello(hello, given)
    t.is(claim.admitted, kind === 'signature', 'what is cheap to see is refused before the signature')
    t.like(claim.admitted ? judgeProof(hello, claim.handshake) : claim, { admitted: false, kind })
  })
}

test('the reconnect window grows with the lines, within 2 and 20 s', t => {
  t.deepEqual([0, 5_000, 100_000].map(reconnectWindowMs), [300, 5_000, 20_000])
})
