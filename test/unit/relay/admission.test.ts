import test from 'ava'
import { generateKeyPair, signBytes } from '../../../common/platform/ed25519.ts'
import { agentProof } from '../../../common/wire/relay-proof.ts'
import { type Hello, judgeHello, judgeProof, provenStanding, reconnectWindowMs } from '../../../relay/admission.ts'
import type { NetworkTerms } from '../../../relay/membership-claim.ts'
import { bytesOf, TestNetwork } from '../../relay/test-network.ts'

const relay = generateKeyPair()
const agent = generateKeyPair()
const relayNonce = new Uint8Array(32).fill(1)
const nonce = new Uint8Array(32).fill(2)
const relayName = 'relay.example.org:443'
const names = { url: relayName, certificate: undefined, addresses: [] }
const local = { address: '192.0.2.1', port: 8080 }
const noNetworks: NetworkTerms = {
  now: 1_795_600_000,
  faultOf: () => undefined,
  signedAnew: () => undefined,
  wasRemoved: () => false,
  isGuest: () => false,
}
const terms = { relayId: relay.id, relayNonce, names, local, admit: 'anyone', networks: noNetworks } as const
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
  const standing = { name: 'listed', membership: undefined } as const
  t.deepEqual(judgeHello(good, terms), { admitted: true, handshake, standing })
  t.is(judgeProof(good, handshake), undefined)
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

const network = new TestNetwork()
const admin = generateKeyPair()
const adminProof = network.admin(admin.id)
const membership = network.byAdmin(admin, adminProof, agent.id)
const admitting = { ...terms, admit: [network.id] } as const
const showing = (chain: Parameters<typeof bytesOf>[0]): Hello => ({ ...good, membership: bytesOf(chain) })

test('a member of a network that is listed is admitted, by the root’s word or an admin’s', t => {
  for (const chain of [membership, network.byRoot(agent.id), network.admin(agent.id)]) {
    t.deepEqual(judgeHello(showing(chain), admitting), {
      admitted: true,
      handshake,
      standing: { name: 'member', membership: chain },
    })
  }
})

test('a root key in admit that is a peer’s own key admits that peer, as any id', t => {
  const listed = judgeHello({ ...good, peer: network.id }, admitting)
  t.like(listed, { admitted: true, standing: { name: 'listed' } })
})

test('who is admitted anyway is so with any membership, and only one of an admitted network counts', t => {
  const standingOf = (hello: Hello, admit: typeof terms.admit | readonly (typeof agent.id)[]) => {
    const verdict = judgeHello(hello, { ...terms, admit })
    return verdict.admitted ? verdict.standing : verdict.kind
  }
  const alone = { name: 'listed', membership: undefined }
  t.deepEqual(standingOf({ ...good, membership: new Uint8Array(225) }, 'anyone'), alone)
  t.deepEqual(standingOf(showing(network.removal(agent.id)), [agent.id, network.id]), alone)
  t.deepEqual(standingOf(showing(membership), [agent.id]), alone)
  t.deepEqual(standingOf(showing(membership), 'anyone'), { name: 'listed', membership })
  t.deepEqual(standingOf(showing(membership), [agent.id, network.id]), { name: 'listed', membership })
})

const claims: ReadonlyArray<readonly [string, Hello, Partial<NetworkTerms>, string, RegExp]> = [
  ['of another peer', showing(network.byRoot(relay.id)), {}, 'membership', /that of/],
  ['that is none', { ...good, membership: new Uint8Array(450) }, {}, 'membership', /no membership/],
  ['that removes', showing(network.removal(agent.id)), {}, 'membership', /was removed from its network/],
  [
    'that has ended',
    showing(network.byRoot(agent.id, { notAfter: 1_795_599_999 })),
    {},
    'membership',
    /ended at 2026-11-25 09:46 UTC; an admin/,
  ],
  ['against which a removal stands', showing(membership), { faultOf: () => 'removed' }, 'membership', /was removed/],
  [
    'whose signer was removed',
    showing(membership),
    { faultOf: () => 'signer-removed' },
    'membership',
    /admin who signed it was removed/,
  ],
  ['of nobody, which a removed device shows', good, { wasRemoved: () => true }, 'membership', /was removed/],
  ['of a network that is not listed', showing(new TestNetwork().byRoot(agent.id)), {}, 'admission', /network/],
]

for (const [what, hello, networks, kind, words] of claims) {
  test(`a membership ${what} is refused before any signature: ${kind}`, t => {
    const verdict = judgeHello(hello, { ...admitting, networks: { ...noNetworks, ...networks } })
    t.like(verdict, { admitted: false, kind })
    t.regex(verdict.admitted ? '' : verdict.reason, words)
  })
}

test('a membership in its last second is good', t => {
  t.true(judgeHello(showing(network.byRoot(agent.id, { notAfter: 1_795_600_000 })), admitting).admitted)
})

test('for a membership whose signer was removed, what the root signed anew counts', t => {
  const anew = network.byRoot(agent.id, { version: 2 })
  const networks: NetworkTerms = {
    ...noNetworks,
    faultOf: chain => (chain.signer ? 'signer-removed' : undefined),
    signedAnew: () => anew,
  }
  t.like(judgeHello(showing(membership), { ...admitting, networks }), { standing: { membership: anew } })
  const over = { ...networks, signedAnew: () => network.byRoot(agent.id, { version: 2, notAfter: 1 }) }
  t.false(judgeHello(showing(membership), { ...admitting, networks: over }).admitted)
})

test('who is expected is let in as a guest, without or in spite of a membership', t => {
  const networks = { ...noNetworks, isGuest: () => true }
  for (const hello of [good, showing(network.removal(agent.id))]) {
    t.like(judgeHello(hello, { ...admitting, networks }), { admitted: true, standing: { name: 'guest' } })
  }
})

test('a membership without its signatures leaves who is listed in, and nobody else', t => {
  t.like(provenStanding({ name: 'member', membership }, false), { admitted: false, kind: 'membership' })
  t.deepEqual(provenStanding({ name: 'listed', membership }, false), { name: 'listed', membership: undefined })
  t.deepEqual(provenStanding({ name: 'member', membership }, true), { name: 'member', membership })
})
