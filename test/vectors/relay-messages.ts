import type { AgentMessage, RelayMessage } from '../../common/wire/relay-message.ts'
import type { RelayHandshake } from '../../common/wire/relay-proof.ts'
import { ALICE, BOB, fromHex, RELAY } from './keys.ts'
import { ENTRIES } from './membership.ts'

/** One message of the control line and its msgpack: the map's head, then a line per field. */
export interface MessageVector<M> {
  readonly name: string
  readonly message: M
  readonly hex: string
}

const counting = (length: number, first: number) => Uint8Array.from({ length }, (_, i) => first + i)
const TICKET = counting(16, 0xc0)
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const [ADMIN, MEMBER, REMOVED] = ENTRIES.map(({ hex }) => hex)
/** A member, and the admin who signed that. */
const CHAIN = Uint8Array.from(fromHex(`${MEMBER} ${ADMIN}`))
const REMOVAL = Uint8Array.from(fromHex(`${REMOVED}`))

export const HANDSHAKE: RelayHandshake = {
  relayId: RELAY.id,
  relayName: 'relay.example.org:443',
  relayNonce: counting(32, 0x20),
  agentId: ALICE.id,
  agentNonce: counting(32, 0x60),
}

/** What the agent signs, and its signature. */
export const AGENT_PROOF = `1863756c766572742f31206167656e7420746f2072656c6179fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb9115489080
  25001572656c61792e6578616d706c652e6f72673a343433202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f
  d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a606162636465666768696a6b6c6d6e6f7071727374757677
  78797a7b7c7d7e7f`
export const AGENT_SIGNATURE = `2f55701fd400ee5b29ee4a23f522f3008e40814a5d6ed588ad8937778b7ad696793a99c4d0402fff6d66b3b4e21b3962873e4c5295567fb9
  8a0a6b87a0aad206`
/** What the relay signs, and its signature. */
export const RELAY_PROOF = `1863756c766572742f312072656c617920746f206167656e74fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb9115489080
  25001572656c61792e6578616d706c652e6f72673a343433202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f
  d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a606162636465666768696a6b6c6d6e6f7071727374757677
  78797a7b7c7d7e7f`
export const RELAY_SIGNATURE = `925208c5cd0ff882c030766cc96d1143ec9d6712aa8d9136d76d31a5db4259f571e1342058f41e03369174345b17610aca62319ffde23a5b
  af1c722f0323580c`

export const AGENT_MESSAGES: ReadonlyArray<MessageVector<AgentMessage>> = [
  {
    name: 'hello',
    message: {
      type: 'hello',
      protocol: 1,
      peer: ALICE.id,
      nonce: HANDSHAKE.agentNonce,
      relayName: HANDSHAKE.relayName,
      signature: Uint8Array.from(fromHex(AGENT_SIGNATURE)),
      software: 'culvert/0.1.0',
      instance: counting(8, 0x10),
    },
    hex: `88
      a474797065 a568656c6c6f
      a870726f746f636f6c 01
      a470656572 c420d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a
      a56e6f6e6365 c420606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f
      a972656c61794e616d65 b572656c61792e6578616d706c652e6f72673a343433
      a97369676e6174757265
      c4402f55701fd400ee5b29ee4a23f522f3008e40814a5d6ed588ad8937778b7ad696793a99c4d0402fff6d66b3b4e21b3962
      873e4c5295567fb98a0a6b87a0aad206
      a8736f667477617265 ad63756c766572742f302e312e30
      a8696e7374616e6365 c4081011121314151617`,
  },
  {
    name: 'hello of a member',
    message: {
      type: 'hello',
      protocol: 1,
      peer: ALICE.id,
      nonce: HANDSHAKE.agentNonce,
      relayName: HANDSHAKE.relayName,
      signature: Uint8Array.from(fromHex(AGENT_SIGNATURE)),
      software: 'culvert/0.1.0',
      instance: counting(8, 0x10),
      membership: CHAIN,
    },
    hex: `89
      a474797065 a568656c6c6f
      a870726f746f636f6c 01
      a470656572 c420d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a
      a56e6f6e6365 c420606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f
      a972656c61794e616d65 b572656c61792e6578616d706c652e6f72673a343433
      a97369676e6174757265
      c4402f55701fd400ee5b29ee4a23f522f3008e40814a5d6ed588ad8937778b7ad696793a99c4d0402fff6d66b3b4e21b3962
      873e4c5295567fb98a0a6b87a0aad206
      a8736f667477617265 ad63756c766572742f302e312e30
      a8696e7374616e6365 c4081011121314151617
      aa6d656d62657273686970 c501c2${hexOf(CHAIN)}`,
  },
  {
    name: 'watch',
    message: { type: 'watch', peers: [BOB.id, RELAY.id] },
    hex: `82
      a474797065 a57761746368
      a57065657273 92 c4203d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c
      c420fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025`,
  },
  {
    name: 'watch of nobody',
    message: { type: 'watch', peers: [] },
    hex: `82
      a474797065 a57761746368
      a57065657273 90`,
  },
  {
    name: 'call',
    message: { type: 'call', call: 7, to: BOB.id },
    hex: `83
      a474797065 a463616c6c
      a463616c6c 07
      a2746f c4203d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c`,
  },
  {
    name: 'refuse',
    message: { type: 'refuse', ticket: TICKET, reason: 'refused' },
    hex: `83
      a474797065 a6726566757365
      a67469636b6574 c410c0c1c2c3c4c5c6c7c8c9cacbcccdcecf
      a6726561736f6e a772656675736564`,
  },
  {
    name: 'ping',
    message: { type: 'ping', id: 300 },
    hex: `82
      a474797065 a470696e67
      a26964 cd012c`,
  },
  {
    name: 'reach',
    message: { type: 'reach', check: 3, transport: 'tcp', port: 41_822, nonce: counting(16, 0xa0) },
    hex: `85
      a474797065 a57265616368
      a5636865636b 03
      a97472616e73706f7274 a3746370
      a4706f7274 cda35e
      a56e6f6e6365 c410a0a1a2a3a4a5a6a7a8a9aaabacadaeaf`,
  },
  {
    name: 'guests',
    message: { type: 'guests', guests: [{ id: BOB.id, notAfter: 1_795_603_600 }] },
    hex: `82
      a474797065 a6677565737473
      a6677565737473 91
      92 c4203d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c ce6b06bc90`,
  },
  {
    name: 'statement',
    message: { type: 'statement', chain: REMOVAL },
    hex: `82
      a474797065 a973746174656d656e74
      a5636861696e c4e1${hexOf(REMOVAL)}`,
  },
]

export const RELAY_MESSAGES: ReadonlyArray<MessageVector<RelayMessage>> = [
  {
    name: 'challenge',
    message: { type: 'challenge', protocols: [1, 2], relay: RELAY.id, nonce: HANDSHAKE.relayNonce },
    hex: `84
      a474797065 a96368616c6c656e6765
      a970726f746f636f6c73 92 01 02
      a572656c6179 c420fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025
      a56e6f6e6365 c420202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f`,
  },
  {
    name: 'welcome',
    message: {
      type: 'welcome',
      signature: Uint8Array.from(fromHex(RELAY_SIGNATURE)),
      observed: { address: '203.0.113.9', port: 50123 },
      stun: [
        { address: '198.51.100.1', port: 3478 },
        { address: '2001:db8::1', port: 3479 },
      ],
      features: ['pipe', 'presence'],
      serverTime: 1_700_000_000_123,
      reconnectWindowMs: 4000,
      keepAliveMs: 25_000,
    },
    hex: `88
      a474797065 a777656c636f6d65
      a97369676e6174757265
      c440925208c5cd0ff882c030766cc96d1143ec9d6712aa8d9136d76d31a5db4259f571e1342058f41e03369174345b17610a
      ca62319ffde23a5baf1c722f0323580c
      a86f62736572766564 b13230332e302e3131332e393a3530313233
      a47374756e 92 b13139382e35312e3130302e313a33343738 b25b323030313a6462383a3a315d3a33343739
      a86665617475726573 92 a470697065 a870726573656e6365
      aa73657276657254696d65 cf0000018bcfe5687b
      b17265636f6e6e65637457696e646f774d73 cd0fa0
      ab6b656570416c6976654d73 cd61a8`,
  },
  {
    name: 'welcome behind a proxy',
    message: {
      type: 'welcome',
      signature: Uint8Array.from(fromHex(RELAY_SIGNATURE)),
      observed: undefined,
      stun: [],
      features: [],
      serverTime: 0,
      reconnectWindowMs: 0,
      keepAliveMs: 5000,
    },
    hex: `88
      a474797065 a777656c636f6d65
      a97369676e6174757265
      c440925208c5cd0ff882c030766cc96d1143ec9d6712aa8d9136d76d31a5db4259f571e1342058f41e03369174345b17610a
      ca62319ffde23a5baf1c722f0323580c
      a86f62736572766564 c0
      a47374756e 90
      a86665617475726573 90
      aa73657276657254696d65 00
      b17265636f6e6e65637457696e646f774d73 00
      ab6b656570416c6976654d73 cd1388`,
  },
  {
    name: 'refused',
    message: { type: 'refused', reason: 'not admitted', retryAfterMs: 60_000 },
    hex: `83
      a474797065 a772656675736564
      a6726561736f6e ac6e6f742061646d6974746564
      ac726574727941667465724d73 cdea60`,
  },
  {
    name: 'ticket',
    message: { type: 'ticket', call: 7, ticket: TICKET },
    hex: `83
      a474797065 a67469636b6574
      a463616c6c 07
      a67469636b6574 c410c0c1c2c3c4c5c6c7c8c9cacbcccdcecf`,
  },
  {
    name: 'call-failed',
    message: { type: 'call-failed', call: 7, reason: 'over-quota' },
    hex: `83
      a474797065 ab63616c6c2d6661696c6564
      a463616c6c 07
      a6726561736f6e aa6f7665722d71756f7461`,
  },
  {
    name: 'ring',
    message: { type: 'ring', from: ALICE.id, ticket: TICKET },
    hex: `83
      a474797065 a472696e67
      a466726f6d c420d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a
      a67469636b6574 c410c0c1c2c3c4c5c6c7c8c9cacbcccdcecf`,
  },
  {
    name: 'presence',
    message: { type: 'presence', peer: BOB.id, online: true },
    hex: `83
      a474797065 a870726573656e6365
      a470656572 c4203d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c
      a66f6e6c696e65 c3`,
  },
  {
    name: 'replaced',
    message: { type: 'replaced', sameInstance: false, by: '203.0.113.9:50123' },
    hex: `83
      a474797065 a87265706c61636564
      ac73616d65496e7374616e6365 c2
      a26279 b13230332e302e3131332e393a3530313233`,
  },
  {
    name: 'going-away',
    message: { type: 'going-away', reconnectWindowMs: 2000 },
    hex: `82
      a474797065 aa676f696e672d61776179
      b17265636f6e6e65637457696e646f774d73 cd07d0`,
  },
  {
    name: 'pong',
    message: { type: 'pong', id: 300 },
    hex: `82
      a474797065 a4706f6e67
      a26964 cd012c`,
  },
  {
    name: 'reached',
    message: { type: 'reached', check: 3, outcome: 'reached' },
    hex: `83
      a474797065 a772656163686564
      a5636865636b 03
      a76f7574636f6d65 a772656163686564`,
  },
  {
    name: 'statement',
    message: { type: 'statement', chain: REMOVAL },
    hex: `82
      a474797065 a973746174656d656e74
      a5636861696e c4e1${hexOf(REMOVAL)}`,
  },
]
