import test from 'ava'
import { formatEndpoint } from '../../../common/wire/endpoint.ts'
import { decodeStun, encodeStun } from '../../../common/wire/stun.ts'
import { answerStun, reachableAddresses, stunEndpoints, stunFrameLength } from '../../../relay/stun-answer.ts'

const transactionId = new Uint8Array(12).fill(7)
const layout = { addresses: ['192.0.2.1', '192.0.2.2'], ports: [3478, 3479] } as const
const layout6 = { addresses: ['2001:db8::1', '2001:db8::2'], ports: [3478, 3479] } as const
const from = { address: '198.51.100.9', port: 4000 }
const from6 = { address: '2001:db8::9', port: 4000 }
const plain = encodeStun({ class: 'request', method: 'binding', transactionId })

test('an answer leaves from where it was asked, and names the other address and port', t => {
  const answer = answerStun(plain, from, { address: 1, port: 1 }, layout, 'udp')
  t.deepEqual(answer?.via, { address: 1, port: 1 })
  t.like(answer && decodeStun(answer.bytes), {
    xorMappedAddress: from,
    responseOrigin: { address: '192.0.2.2', port: 3479 },
    otherAddress: { address: '192.0.2.1', port: 3478 },
  })
})

test('an answer never has more than three times the bytes of its request and one attribute', t => {
  for (const [given, source] of [
    [layout, from],
    [layout6, from6],
  ] as const) {
    const answer = answerStun(plain, source, { address: 0, port: 0 }, given, 'udp')
    t.true((answer?.bytes.length ?? Infinity) <= 3 * plain.length + 8)
    t.deepEqual(answer && decodeStun(answer.bytes)?.otherAddress, { address: given.addresses[1], port: 3479 })
  }
})

test('over TCP nothing can be changed', t => {
  const request = encodeStun({
    class: 'request',
    method: 'binding',
    transactionId,
    changeRequest: { address: false, port: true },
  })
  const answer = answerStun(request, from, { address: 0, port: 0 }, layout, 'tcp')
  t.is(answer && decodeStun(answer.bytes)?.errorCode, 420)
})

test('attributes that must be understood and are not are named', t => {
  const request = Buffer.concat([plain, Buffer.from('7ffe0004000000ff', 'hex')])
  request.writeUInt16BE(8, 2)
  const answer = answerStun(request, from, { address: 0, port: 0 }, layout, 'udp')
  t.like(answer && decodeStun(answer.bytes), { class: 'error', errorCode: 420, unknownAttributes: [0x7ffe] })
})

test('the other address is the one of the same IP version, whatever stands between them', t => {
  const both = { addresses: ['192.0.2.1', '2001:db8::1', '192.0.2.2'], ports: [3478, 3479] } as const
  const change = { address: true, port: true }
  const request = encodeStun({ class: 'request', method: 'binding', transactionId, changeRequest: change })
  const answer = answerStun(request, from, { address: 0, port: 0 }, both, 'udp')
  t.deepEqual(answer?.via, { address: 2, port: 1 })
  t.deepEqual(answer && decodeStun(answer.bytes)?.otherAddress, { address: '192.0.2.2', port: 3479 })
  const alone = answerStun(request, from6, { address: 1, port: 0 }, both, 'udp')
  t.is(alone && decodeStun(alone.bytes)?.errorCode, 420)
})

test('endpoints are told with the first address of each IP version before the second ones', t => {
  const told = (...given: Parameters<typeof stunEndpoints>) => stunEndpoints(...given).map(formatEndpoint)
  t.deepEqual(told(layout, []), ['192.0.2.1:3478', '192.0.2.1:3479', '192.0.2.2:3478', '192.0.2.2:3479'])
  const both = { ...layout, addresses: [...layout.addresses, ...layout6.addresses] }
  const [a, b] = ['192.0.2.1', '192.0.2.2']
  const [c, d] = ['[2001:db8::1]', '[2001:db8::2]']
  const expected = [a, c, b, d].flatMap(address => [`${address}:3478`, `${address}:3479`])
  t.deepEqual(told(both, []), expected)
})

test('without addresses, the one that the agent reached is told, and a public one of the other IP version', t => {
  const own = ['127.0.0.1', '10.0.0.1', '198.51.100.1', 'fd00::1', '2001:db8::1']
  t.deepEqual(reachableAddresses('198.51.100.1', own), ['198.51.100.1', '2001:db8::1'])
  t.deepEqual(reachableAddresses('2001:db8::1', own), ['2001:db8::1', '198.51.100.1'])
  t.deepEqual(reachableAddresses('198.51.100.1', ['198.51.100.1', 'fd00::1']), ['198.51.100.1'])
  t.deepEqual(reachableAddresses('10.0.0.1', own), ['10.0.0.1'])
  t.deepEqual(stunEndpoints({ ...layout, addresses: [] }, ['10.0.0.1'])[1], { address: '10.0.0.1', port: 3479 })
})

test('a frame’s length is known after four bytes, and what cannot be a request is refused at once', t => {
  t.is(stunFrameLength(plain.subarray(0, 3)), undefined)
  t.is(stunFrameLength(plain.subarray(0, 4)), 20)
  for (const bad of ['ff', '00010003', '0001fffc']) {
    t.throws(() => stunFrameLength(Buffer.from(bad, 'hex')), { code: 'wire-malformed' })
  }
})
