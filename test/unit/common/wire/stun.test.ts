import test from 'ava'
import { CulvertError } from '../../../../common/errors.ts'
import { decodeStun, encodeStun, looksLikeStun, type StunMessage } from '../../../../common/wire/stun.ts'

const hex = (text: string) => Buffer.from(text.replace(/\s+/g, ''), 'hex')
const TRANSACTION = Uint8Array.from(hex('b7e7a701bc34d686fa87dfae'))
const HEAD = '2112a442 b7e7a701bc34d686fa87dfae'

test('reads the sample request of RFC 5769 and names the attribute that it does not understand', t => {
  const message = decodeStun(
    hex(`0001 0058 ${HEAD} 80220010 5354554e207465737420636c69656e74 00240004 6e0001ff 80290008 932ff9b151263b36
      00060009 6576746a3a68367659202020 00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2 80280004 e57a3bcf`),
  )
  t.deepEqual(message, {
    class: 'request',
    method: 'binding',
    transactionId: TRANSACTION,
    software: 'STUN test client',
    unknownAttributes: [0x24],
  })
})

test('reads the sample IPv4 response of RFC 5769', t => {
  const message = decodeStun(
    hex(`0101 003c ${HEAD} 8022000b 7465737420766563746f7220 00200008 0001a147e112a643
      00080014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7 80280004 c07d4c96`),
  )
  t.deepEqual(message, {
    class: 'success',
    method: 'binding',
    transactionId: TRANSACTION,
    software: 'test vector',
    xorMappedAddress: { address: '192.0.2.1', port: 32853 },
  })
})

test('reads the sample IPv6 response of RFC 5769', t => {
  const message = decodeStun(
    hex(`0101 0048 ${HEAD} 8022000b 7465737420766563746f7220 00200014 0002a1470113a9faa5d3f179bc25f4b5bed2b9d9
      00080014 a382954e4be67bf11784c97c8292c275bfe3ed41 80280004 c8fb0b4c`),
  )
  t.deepEqual(message?.xorMappedAddress, { address: '2001:db8:1234:5678:11:2233:4455:6677', port: 32853 })
})

const base = { method: 'binding', transactionId: TRANSACTION } as const
const VECTORS: ReadonlyArray<readonly [string, StunMessage, string]> = [
  ['a plain request', { ...base, class: 'request' }, `0001 0000 ${HEAD}`],
  [
    'a request to be answered from elsewhere',
    { ...base, class: 'request', changeRequest: { address: true, port: true }, software: 'culvert' },
    `0001 0014 ${HEAD} 00030004 00000006 80220007 63756c7665727400`,
  ],
  [
    'a full answer over IPv4',
    {
      ...base,
      class: 'success',
      xorMappedAddress: { address: '192.0.2.1', port: 32853 },
      mappedAddress: { address: '192.0.2.1', port: 32853 },
      responseOrigin: { address: '198.51.100.1', port: 3478 },
      otherAddress: { address: '198.51.100.2', port: 3479 },
    },
    `0101 0030 ${HEAD} 00200008 0001a147e112a643 00010008 00018055c0000201
      802b0008 00010d96c6336401 802c0008 00010d97c6336402`,
  ],
  [
    'an answer over IPv6',
    { ...base, class: 'success', xorMappedAddress: { address: '2001:db8::1', port: 32853 } },
    `0101 0018 ${HEAD} 00200014 0002a1470113a9fab7e7a701bc34d686fa87dfaf`,
  ],
  [
    'a refusal that names what was not understood',
    { ...base, class: 'error', errorCode: 420, unknownAttributes: [0x24, 0x27] },
    `0111 0024 ${HEAD} 00090015 00000414 556e6b6e6f776e20417474726962757465000000 000a0004 00240027`,
  ],
  ['another method', { ...base, class: 'indication', method: 0xabc }, `2a7c 0000 ${HEAD}`],
]

for (const [title, message, bytes] of VECTORS) {
  test(`${title} is these bytes, and these bytes are it`, t => {
    t.is(encodeStun(message).toString('hex'), hex(bytes).toString('hex'))
    t.deepEqual(decodeStun(hex(bytes)), message)
  })
}

test('an IPv4 address in IPv6 clothes keeps its clothes', t => {
  const message = { ...base, class: 'success', xorMappedAddress: { address: '::ffff:c000:201', port: 1 } } as const
  t.deepEqual(decodeStun(encodeStun(message)), message)
})

test('what is not exactly one STUN message is nothing', t => {
  const good = hex(`0001 0000 ${HEAD}`)
  const wrong: Readonly<Record<string, Buffer>> = {
    empty: Buffer.alloc(0),
    'a header cut short': good.subarray(0, 19),
    'bytes behind the end': Buffer.concat([good, Buffer.alloc(4)]),
    'a length beyond the end': hex(`0001 0004 ${HEAD}`),
    'an odd length': hex(`0001 0002 ${HEAD} 0000`),
    'the first bits set': hex(`8001 0000 ${HEAD}`),
    'another cookie': hex('0001 0000 2112a443 b7e7a701bc34d686fa87dfae'),
    'an attribute that runs over': hex(`0001 0004 ${HEAD} 80220001`),
    'an address too short': hex(`0101 0008 ${HEAD} 00200004 0001a147`),
    'a change request of two bytes': hex(`0001 0008 ${HEAD} 00030002 00000000`),
  }
  for (const [name, bytes] of Object.entries(wrong)) t.is(decodeStun(bytes), undefined, name)
})

test('a message over 1500 bytes or of many attributes is refused before it is parsed', t => {
  const filled = (attributes: number) => {
    const bytes = Buffer.alloc(20 + attributes * 4)
    hex(`0001 0000 ${HEAD}`).copy(bytes)
    bytes.writeUInt16BE(attributes * 4, 2)
    for (let i = 0; i < attributes; i++) bytes.writeUInt16BE(0x8123, 20 + i * 4)
    return bytes
  }
  t.truthy(decodeStun(filled(24)))
  t.is(decodeStun(filled(25)), undefined)
  t.is(decodeStun(filled(371)), undefined)
  t.false(looksLikeStun(filled(371)))
})

test('the first of two equal attributes counts', t => {
  const message = decodeStun(hex(`0101 0018 ${HEAD} 00200008 0001a147e112a643 00200008 0001a148e112a643`))
  t.is(message?.xorMappedAddress?.port, 32853)
})

test('a port of zero behind the mask is no address', t => {
  t.is(decodeStun(hex(`0101 000c ${HEAD} 00200008 00012112e112a643`))?.xorMappedAddress, undefined)
})

test('what no message can carry is an error, not other bytes', t => {
  const unencodable: readonly StunMessage[] = [
    { ...base, class: 'request', transactionId: new Uint8Array(11) },
    { ...base, class: 'request', method: 0x1000 },
    { ...base, class: 'error', errorCode: 200 },
    { ...base, class: 'success', xorMappedAddress: { address: 'example.org', port: 1 } },
    { ...base, class: 'success', xorMappedAddress: { address: 'fe80::1%eth0', port: 1 } },
    { ...base, class: 'success', mappedAddress: { address: '192.0.2.1', port: 0 } },
  ]
  for (const message of unencodable) t.throws(() => encodeStun(message), { instanceOf: CulvertError, code: 'internal' })
})

test('a decoded message keeps nothing of the packet', t => {
  const bytes = hex(`0001 0000 ${HEAD}`)
  const message = decodeStun(bytes)
  bytes.fill(0)
  t.deepEqual(message?.transactionId, TRANSACTION)
})

test('100,000 mutations of good messages never throw', t => {
  let state = 0x9e3779b9
  const next = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  const seeds = VECTORS.map(([, , bytes]) => hex(bytes))
  seeds.push(
    hex(`0101 0048 ${HEAD} 8022000b 7465737420766563746f7220 00200014 0002a1470113a9faa5d3f179bc25f4b5bed2b9d9
      00080014 a382954e4be67bf11784c97c8292c275bfe3ed41 80280004 c8fb0b4c`),
    hex(`0001 001c ${HEAD} 80020008 0001000000020000 001d0004 00010000 00270004 12340000`),
  )
  let understood = 0
  for (let i = 0; i < 100_000; i++) {
    const seed = seeds[next(seeds.length)] ?? Buffer.alloc(0)
    const bytes = Buffer.alloc(next(8) === 0 ? next(seed.length + 40) : seed.length)
    seed.copy(bytes)
    for (let flips = next(4); flips >= 0 && bytes.length > 0; flips--) bytes[next(bytes.length)] = next(256)
    // Most changes should reach the attributes, not end at the header.
    if (next(4) > 0 && bytes.length >= 20) {
      seed.copy(bytes, 4, 4, 8)
      bytes.writeUInt16BE(bytes.length - 20, 2)
    }
    if (decodeStun(bytes)) understood++
  }
  t.true(understood > 10_000, `only ${understood} got past the header`)
})
