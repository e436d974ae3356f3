import { decode, encode } from '@msgpack/msgpack'
import test from 'ava'
import { CulvertError } from '../../../../common/errors.ts'
import {
  decodeAgentMessage,
  decodeRelayMessage,
  encodeAgentMessage,
  encodeRelayMessage,
  MAX_RELAY_MESSAGE_BYTES,
  MAX_WATCHED_PEERS,
} from '../../../../common/wire/relay-message.ts'
import { BOB, fromHex } from '../../../vectors/keys.ts'
import { AGENT_MESSAGES, RELAY_MESSAGES } from '../../../vectors/relay-messages.ts'

const malformed = { instanceOf: CulvertError, code: 'wire-malformed' } as const

for (const { name, message, hex } of AGENT_MESSAGES) {
  test(`agent's ${name}: is written as its vector, and read from it`, t => {
    t.deepEqual(Buffer.from(encodeAgentMessage(message)), fromHex(hex))
    t.deepEqual(decodeAgentMessage(fromHex(hex)), message)
  })
}

for (const { name, message, hex } of RELAY_MESSAGES) {
  test(`relay's ${name}: is written as its vector, and read from it`, t => {
    t.deepEqual(Buffer.from(encodeRelayMessage(message)), fromHex(hex))
    t.deepEqual(decodeRelayMessage(fromHex(hex)), message)
  })
}

test('a message of a type that we do not know is passed over, in both directions', t => {
  const later = encode({ type: 'teleport', where: [1, 2, { deep: true }] })
  t.is(decodeAgentMessage(later), undefined)
  t.is(decodeRelayMessage(later), undefined)
})

test('fields that we do not know are ignored', t => {
  t.deepEqual(decodeAgentMessage(encode({ type: 'ping', id: 1, colour: 'blue' })), { type: 'ping', id: 1 })
})

test('texts that people are shown come without characters that drive a terminal', t => {
  const evil = '\u001b[2Ja\n<3>b\u202ec'
  const texts = ['refused', 'replaced'].map(type => {
    const message = decodeRelayMessage(encode({ type, reason: evil, retryAfterMs: 0, sameInstance: true, by: evil }))
    if (message?.type === 'refused') return message.reason
    return message?.type === 'replaced' ? message.by : undefined
  })
  t.deepEqual(texts, [' [2Ja <3>b c', ' [2Ja <3>b c'])
})

test('every field is required, and must be of its type', t => {
  const rows = [
    ...AGENT_MESSAGES.map(({ message }) => ({ fields: message, decode: decodeAgentMessage })),
    ...RELAY_MESSAGES.map(({ message }) => ({ fields: message, decode: decodeRelayMessage })),
  ]
  for (const { fields, decode } of rows) {
    for (const name of Object.keys(fields)) {
      // A welcome may come without the address that the relay saw, and a hello without a membership.
      if (name === 'type' || name === 'observed' || name === 'membership') continue
      for (const wrong of [undefined, null, 1.5, -1, 2 ** 60, 'x'.repeat(1000), new Uint8Array(7), [[]], {}]) {
        t.throws(() => decode(encode({ ...fields, [name]: wrong })), malformed, `${fields.type}.${name}`)
      }
    }
  }
})

function decodeMap(hex = ''): object {
  const map = decode(fromHex(hex))
  if (typeof map !== 'object' || map === null) throw new Error('no map')
  return map
}

test('a chain has the length of one entry or two, and a hello may come without one', t => {
  const hello = decodeMap(AGENT_MESSAGES[0]?.hex)
  for (const length of [0, 224, 226, 449, 451]) {
    const bytes = new Uint8Array(length)
    t.throws(() => decodeAgentMessage(encode({ ...hello, membership: bytes })), malformed)
    t.throws(() => decodeRelayMessage(encode({ type: 'statement', chain: bytes })), malformed)
  }
  t.false('membership' in (decodeAgentMessage(encode({ ...hello, membership: null })) ?? {}))
})

test('an agent tells of 64 guests at most', t => {
  const guest = { id: BOB.id, notAfter: 1 }
  const of = (count: number) => encodeAgentMessage({ type: 'guests', guests: new Array(count).fill(guest) })
  t.like(decodeAgentMessage(of(64)), { type: 'guests' })
  t.throws(() => decodeAgentMessage(of(65)), malformed)
})

test('what is no map, no msgpack, or more than one message is malformed', t => {
  for (const bytes of [
    Buffer.alloc(0),
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Buffer.of(0xc1),
    encode(7),
    encode('ping'),
    encode([1]),
    encode(null),
    encode(new Uint8Array(4)),
    Buffer.concat([encode({ type: 'ping', id: 1 }), encode({ type: 'ping', id: 2 })]),
    Buffer.from('81a95f5f70726f746f5f5f80', 'hex'),
  ]) {
    t.throws(() => decodeAgentMessage(bytes), malformed)
    t.throws(() => decodeRelayMessage(bytes), malformed)
  }
})

test('a watch of 1,024 peers passes; one more, or more than 64 KiB, does not', t => {
  const peers = Array.from({ length: MAX_WATCHED_PEERS }, () => BOB.id)
  const largest = encodeAgentMessage({ type: 'watch', peers })
  t.true(largest.length < MAX_RELAY_MESSAGE_BYTES)
  t.deepEqual(decodeAgentMessage(largest), { type: 'watch', peers })
  t.throws(() => decodeAgentMessage(encodeAgentMessage({ type: 'watch', peers: [...peers, BOB.id] })), malformed)
  t.throws(() => decodeAgentMessage(Buffer.concat([largest, Buffer.alloc(40_000)])), malformed)
})

test('announced lengths cost nothing before the bytes are there', t => {
  const nested = Buffer.alloc(MAX_RELAY_MESSAGE_BYTES)
  for (let at = 0; at + 3 <= nested.length; at += 3) nested.set([0xdc, 0x04, 0x00], at)
  const bombs = [
    nested,
    fromHex('ddffffffff'),
    fromHex('dfffffffff'),
    fromHex('dbffffffff'),
    fromHex('c6ffffffff'),
    fromHex('c9ffffffff01'),
    fromHex('81a474797065 ddffffffff'),
    Buffer.alloc(MAX_RELAY_MESSAGE_BYTES, 0x81),
    Buffer.alloc(MAX_RELAY_MESSAGE_BYTES, 0x91),
  ]
  const before = process.memoryUsage().heapTotal
  for (let round = 0; round < 20; round++) {
    for (const bomb of bombs) t.throws(() => decodeAgentMessage(bomb), malformed)
  }
  const grownMb = (process.memoryUsage().heapTotal - before) / 2 ** 20
  t.true(grownMb < 64, `${grownMb} MiB`)
})
