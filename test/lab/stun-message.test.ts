import test from 'ava'
import { decodeStun, encodeStun } from './stun-message.ts'

/** RFC 5769 §2.2 and §2.3: the same mapped address, by IPv4 and by IPv6. */
const RESPONSE_4 =
  '0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643' +
  '000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96'
const RESPONSE_6 =
  '010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f722000200014' +
  '0002a1470113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c'

test('the mapped addresses of RFC 5769 are read', t => {
  const mapped = (hex: string) => decodeStun(Buffer.from(hex, 'hex'))?.mapped
  t.deepEqual(mapped(RESPONSE_4), { host: '192.0.2.1', port: 32853 })
  t.deepEqual(mapped(RESPONSE_6), { host: '2001:db8:1234:5678:11:2233:4455:6677', port: 32853 })
})

test('what is encoded is decoded', t => {
  const transaction = '0102030405060708090a0b0c'
  const request = { type: 'request', transaction, change: { address: true, port: false } } as const
  t.deepEqual(decodeStun(encodeStun(request)), request)
  const response = {
    type: 'response',
    transaction,
    mapped: { host: '2001:db8::1', port: 1 },
    other: { host: '44.128.255.11', port: 65535 },
  } as const
  t.deepEqual(decodeStun(encodeStun(response)), response)
})

test('what is no whole STUN message is nothing', t => {
  const good = Buffer.from(RESPONSE_4, 'hex')
  t.is(decodeStun(good.subarray(0, -1)), null)
  t.is(decodeStun(Buffer.alloc(20)), null)
  t.is(decodeStun(Buffer.from('hello')), null)
})
