import { readAddressRecord } from '../../common/wire/address-record.ts'
import { type Candidate, decodeCandidates, encodeCandidates } from '../../common/wire/candidate.ts'
import { datagramSize, decodeDatagram, writeDatagram } from '../../common/wire/datagram.ts'
import { decodeProbeSecret } from '../../common/wire/probe.ts'
import { decodePunch, encodePunch, type PunchSignal } from '../../common/wire/punch-signal.ts'
import {
  decodeCount,
  decodeCredit,
  decodeHello,
  decodeIce,
  decodeOpen,
  decodeReset,
  encodeCount,
  encodeCredit,
  encodeFrame,
  encodeHello,
  encodeIce,
  encodeOpen,
  encodeReset,
  FRAME,
  type Frame,
  type Hello,
  type IceSignal,
} from '../../common/wire/session-frame.ts'
import { decodeSituation, encodeSituation } from '../../common/wire/situation.ts'
import { EMPTY_RECORD, EMPTY_RECORD_HEX } from './address-records.ts'
import { fromHex } from './keys.ts'
import { PROBE_SECRET } from './probes.ts'
import { HOME, NO_SITUATION } from './situations.ts'

/** One frame in hex, with its fields, and what a codec makes of it in both directions. */
export interface FrameVector {
  readonly name: string
  /** Header (type, flags, length, stream), then the payload. */
  readonly hex: string
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly encode: () => Buffer
  readonly decode: (frame: Frame) => unknown
  readonly message: unknown
}

const text = (frame: Frame) => frame.payload.toString('latin1')
const u32 = (value: number) => Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value)

/** All frames of one datagram. */
export function datagramFrames(flow: number, message: number, datagram: Buffer, frameBytes: number): Buffer {
  const frames = Buffer.alloc(datagramSize(datagram.length, frameBytes).bytes)
  if (writeDatagram(frames, 0, flow, message, datagram, frameBytes) !== frames.length) throw new Error('wrong size')
  return frames
}

const HELLO: Hello = {
  minVersion: 1,
  maxVersion: 3,
  features: 0x80000001,
  epoch: Uint8Array.from(fromHex('0102030405060708')),
  peerEpoch: Uint8Array.from(fromHex('a1a2a3a4a5a6a7a8')),
  received: 0x1234567890,
  how: 'mapped',
}
const FIRST_HELLO: Hello = {
  ...HELLO,
  maxVersion: 1,
  features: 0,
  peerEpoch: new Uint8Array(8),
  received: 0,
  how: undefined,
}

export const CANDIDATES: readonly Candidate[] = [
  { kind: 'tcp', how: 'lan', endpoint: { address: '192.168.1.20', port: 4001 } },
  { kind: 'udp', how: 'mapped', endpoint: { address: '203.0.113.9', port: 65535 } },
  { kind: 'tcp', how: 'ipv6', endpoint: { address: '2001:db8::42', port: 443 } },
]
export const CANDIDATES_HEX = '03 0000040fa1c0a80114 010304ffffcb007109 00020601bb20010db8000000000000000000000042'

const OFFER: IceSignal = { kind: 'offer', sdp: 'v=0\r\n' }
const ANSWER: IceSignal = { kind: 'answer', sdp: 'v=0\r\n' }
const LINE: IceSignal = { kind: 'candidate', line: 'candidate:1 1 UDP 1 192.0.2.1 9 typ host', mid: '0' }
const FAILED: IceSignal = { kind: 'failed', reason: 'no way' }
const SECRET = new Uint8Array(32).fill(0x5e)
const NO_SECRET = new Uint8Array(0)

const BETWEEN_OFFER: PunchSignal = {
  over: 'tcp',
  kind: 'offer',
  outside: { address: '192.0.2.1', port: 57_558 },
  between: { address: '100.64.11.12', port: 41_822 },
  secret: NO_SECRET,
}

export const FRAMES: readonly FrameVector[] = [
  {
    name: 'hello on a later path',
    hex: '01 00 0021 00000000 0001 0003 80000001 0102030405060708 a1a2a3a4a5a6a7a8 0000001234567890 04',
    type: 0x01,
    flags: 0,
    stream: 0,
    encode: () => encodeHello(HELLO),
    decode: frame => decodeHello(frame.payload),
    message: HELLO,
  },
  {
    name: 'hello of the called side on the first path',
    hex: '01 00 0021 00000000 0001 0001 00000000 0102030405060708 0000000000000000 0000000000000000 00',
    type: 0x01,
    flags: 0,
    stream: 0,
    encode: () => encodeHello(FIRST_HELLO),
    decode: frame => decodeHello(frame.payload),
    message: FIRST_HELLO,
  },
  {
    name: 'resume',
    hex: '02 00 0008 00000000 0000000000000102',
    type: 0x02,
    flags: 0,
    stream: 0,
    encode: () => encodeCount(FRAME.resume, 258),
    decode: frame => decodeCount(frame.payload),
    message: 258,
  },
  {
    name: 'ack, the largest count',
    hex: '03 00 0008 00000000 001fffffffffffff',
    type: 0x03,
    flags: 0,
    stream: 0,
    encode: () => encodeCount(FRAME.ack, Number.MAX_SAFE_INTEGER),
    decode: frame => decodeCount(frame.payload),
    message: Number.MAX_SAFE_INTEGER,
  },
  {
    name: 'ping',
    hex: '04 00 0004 00000000 00000007',
    type: 0x04,
    flags: 0,
    stream: 0,
    encode: () => encodeFrame(FRAME.ping, 0, u32(7)),
    decode: frame => frame.payload.readUInt32BE(),
    message: 7,
  },
  {
    name: 'pong',
    hex: '05 00 0004 00000000 fffffffe',
    type: 0x05,
    flags: 0,
    stream: 0,
    encode: () => encodeFrame(FRAME.pong, 0, u32(0xfffffffe)),
    decode: frame => frame.payload.readUInt32BE(),
    message: 0xfffffffe,
  },
  {
    name: 'datagram',
    hex: '06 00 0005 00000003 68656c6c6f',
    type: 0x06,
    flags: 0,
    stream: 3,
    encode: () => datagramFrames(3, 7, Buffer.from('hello'), 16_384),
    decode: decodeDatagram,
    message: Buffer.from('hello'),
  },
  {
    name: 'part of a datagram',
    hex: '06 01 0007 00000003 fffe 02 03 796f75',
    type: 0x06,
    flags: 1,
    stream: 3,
    encode: () => datagramFrames(3, 0xfffe, Buffer.from('hello you'), 16).subarray(30),
    decode: decodeDatagram,
    message: { message: 0xfffe, index: 2, count: 3, bytes: Buffer.from('you') },
  },
  {
    name: 'leave, for another process with the same key',
    hex: '07 02 0000 00000000',
    type: 0x07,
    flags: 2,
    stream: 0,
    encode: () => encodeFrame(FRAME.leave, 0, undefined, 2),
    decode: text,
    message: '',
  },
  {
    name: 'leave',
    hex: '07 00 0000 00000000',
    type: 0x07,
    flags: 0,
    stream: 0,
    encode: () => encodeFrame(FRAME.leave, 0),
    decode: text,
    message: '',
  },
  {
    name: 'open',
    hex: '40 00 0005 00000001 0003 737368',
    type: 0x40,
    flags: 0,
    stream: 1,
    encode: () => encodeOpen(1, 'ssh'),
    decode: frame => decodeOpen(frame.payload, frame.flags),
    message: { service: 'ssh', kind: 'bytes' },
  },
  {
    name: 'open of a flow',
    hex: '40 01 0005 00000001 0003 646e73',
    type: 0x40,
    flags: 1,
    stream: 1,
    encode: () => encodeOpen(1, 'dns', 'datagrams'),
    decode: frame => decodeOpen(frame.payload, frame.flags),
    message: { service: 'dns', kind: 'datagrams' },
  },
  {
    name: 'accept',
    hex: '41 00 0000 00000001',
    type: 0x41,
    flags: 0,
    stream: 1,
    encode: () => encodeFrame(FRAME.accept, 1),
    decode: text,
    message: '',
  },
  {
    name: 'data',
    hex: '42 00 0005 fffffffe 68656c6c6f',
    type: 0x42,
    flags: 0,
    stream: 0xfffffffe,
    encode: () => encodeFrame(FRAME.data, 0xfffffffe, Buffer.from('hello')),
    decode: text,
    message: 'hello',
  },
  {
    name: 'credit',
    hex: '43 00 0004 00000002 00030000',
    type: 0x43,
    flags: 0,
    stream: 2,
    encode: () => encodeCredit(2, 196_608),
    decode: frame => decodeCredit(frame.payload),
    message: 196_608,
  },
  {
    name: 'end',
    hex: '44 00 0000 00000003',
    type: 0x44,
    flags: 0,
    stream: 3,
    encode: () => encodeFrame(FRAME.end, 3),
    decode: text,
    message: '',
  },
  {
    name: 'reset',
    hex: '45 00 001f 00000003 000f 736572766963652d756e6b6e6f776e 000c 6e6f7468696e67206865 7265',
    type: 0x45,
    flags: 0,
    stream: 3,
    encode: () => encodeReset(3, 'service-unknown', 'nothing here'),
    decode: frame => decodeReset(frame.payload),
    message: { code: 'service-unknown', reason: 'nothing here' },
  },
  {
    name: 'candidates, to be tried now',
    hex: `46 01 0028 00000000 ${CANDIDATES_HEX}`,
    type: 0x46,
    flags: 1,
    stream: 0,
    encode: () => encodeFrame(FRAME.candidates, 0, encodeCandidates(CANDIDATES), 1),
    decode: frame => decodeCandidates(frame.payload),
    message: CANDIDATES,
  },
  {
    name: 'ice offer',
    hex: '47 00 0007 0000002a 0005 763d300d0a',
    type: 0x47,
    flags: 0,
    stream: 42,
    encode: () => encodeIce(42, OFFER),
    decode: decodeIce,
    message: OFFER,
  },
  {
    name: 'ice answer',
    hex: '47 01 0007 0000002a 0005 763d300d0a',
    type: 0x47,
    flags: 1,
    stream: 42,
    encode: () => encodeIce(42, ANSWER),
    decode: decodeIce,
    message: ANSWER,
  },
  {
    name: 'ice candidate',
    hex: `47 02 002d 0000002a 0001 30 0028
      63616e6469646174653a31203120554450203120 3139322e302e322e3120392074797020686f7374`,
    type: 0x47,
    flags: 2,
    stream: 42,
    encode: () => encodeIce(42, LINE),
    decode: decodeIce,
    message: LINE,
  },
  {
    name: 'ice failed',
    hex: '47 03 0008 0000002a 0006 6e6f20776179',
    type: 0x47,
    flags: 3,
    stream: 42,
    encode: () => encodeIce(42, FAILED),
    decode: decodeIce,
    message: FAILED,
  },
  {
    name: 'record',
    hex: `52 00 006b 00000000 ${EMPTY_RECORD_HEX}`,
    type: 0x52,
    flags: 0,
    stream: 0,
    encode: () => encodeFrame(FRAME.record, 0, fromHex(EMPTY_RECORD_HEX)),
    decode: frame => readAddressRecord(frame.payload),
    message: EMPTY_RECORD,
  },
  {
    name: 'bye',
    hex: '48 00 0000 00000000',
    type: 0x48,
    flags: 0,
    stream: 0,
    encode: () => encodeFrame(FRAME.bye, 0),
    decode: text,
    message: '',
  },
  {
    name: 'punch offer',
    hex: '49 00 0007 0000002a 04 e0d6 c0000201',
    type: 0x49,
    flags: 0,
    stream: 42,
    encode: () =>
      encodePunch(42, {
        over: 'tcp',
        kind: 'offer',
        outside: { address: '192.0.2.1', port: 57_558 },
        secret: NO_SECRET,
      }),
    decode: decodePunch,
    message: { over: 'tcp', kind: 'offer', outside: { address: '192.0.2.1', port: 57_558 }, secret: NO_SECRET },
  },
  {
    name: 'punch offer with a place between two NATs',
    hex: '49 00 000e 0000002a 04 e0d6 c0000201 04 a35e 64400b0c',
    type: 0x49,
    flags: 0,
    stream: 42,
    encode: () => encodePunch(42, BETWEEN_OFFER),
    decode: decodePunch,
    message: BETWEEN_OFFER,
  },
  {
    name: 'punch answer',
    hex: '49 01 0013 0000002a 06 0050 20010db8000000000000000000000001',
    type: 0x49,
    flags: 1,
    stream: 42,
    encode: () => encodePunch(42, { over: 'tcp', kind: 'answer', outside: { address: '2001:db8::1', port: 80 } }),
    decode: decodePunch,
    message: { over: 'tcp', kind: 'answer', outside: { address: '2001:db8::1', port: 80 } },
  },
  {
    name: 'punch answer over IPv6',
    hex: '49 41 0013 0000002a 06 0050 20010db8000000000000000000000001',
    type: 0x49,
    flags: 0x41,
    stream: 42,
    encode: () => encodePunch(42, { over: 'tcp6', kind: 'answer', outside: { address: '2001:db8::1', port: 80 } }),
    decode: decodePunch,
    message: { over: 'tcp6', kind: 'answer', outside: { address: '2001:db8::1', port: 80 } },
  },
  {
    name: 'punch decline',
    hex: '49 02 0001 0000002a 01',
    type: 0x49,
    flags: 2,
    stream: 42,
    encode: () => encodePunch(42, { over: 'tcp', kind: 'decline', why: 'unpredictable' }),
    decode: decodePunch,
    message: { over: 'tcp', kind: 'decline', why: 'unpredictable' },
  },
  {
    name: 'punch ask',
    hex: `49 83 0020 0000002a ${'5e'.repeat(32)}`,
    type: 0x49,
    flags: 0x83,
    stream: 42,
    encode: () => encodePunch(42, { over: 'udp', kind: 'ask', secret: SECRET }),
    decode: decodePunch,
    message: { over: 'udp', kind: 'ask', secret: SECRET },
  },
  {
    name: 'punch window',
    hex: '49 84 000a 0000002a 04 0400 c0000201 fc00 00',
    type: 0x49,
    flags: 0x84,
    stream: 42,
    encode: () =>
      encodePunch(42, {
        over: 'udp',
        kind: 'window',
        from: { address: '192.0.2.1', port: 1024 },
        ports: 64_512,
        first: false,
      }),
    decode: decodePunch,
    message: { over: 'udp', kind: 'window', from: { address: '192.0.2.1', port: 1024 }, ports: 64_512, first: false },
  },
  {
    name: 'punch window that is to be opened first',
    hex: '49 04 000a 0000002a 04 4e21 c0000201 0008 01',
    type: 0x49,
    flags: 4,
    stream: 42,
    encode: () =>
      encodePunch(42, {
        over: 'tcp',
        kind: 'window',
        from: { address: '192.0.2.1', port: 20_001 },
        ports: 8,
        first: true,
      }),
    decode: decodePunch,
    message: { over: 'tcp', kind: 'window', from: { address: '192.0.2.1', port: 20_001 }, ports: 8, first: true },
  },
  {
    name: 'punch aim',
    hex: '49 05 0007 0000002a 04 4e28 c0000201',
    type: 0x49,
    flags: 5,
    stream: 42,
    encode: () => encodePunch(42, { over: 'tcp', kind: 'aim', outside: { address: '192.0.2.1', port: 20_008 } }),
    decode: decodePunch,
    message: { over: 'tcp', kind: 'aim', outside: { address: '192.0.2.1', port: 20_008 } },
  },
  {
    name: 'punch go',
    hex: '49 06 0000 0000002a',
    type: 0x49,
    flags: 6,
    stream: 42,
    encode: () => encodePunch(42, { over: 'tcp', kind: 'go' }),
    decode: decodePunch,
    message: { over: 'tcp', kind: 'go' },
  },
  {
    name: 'secret',
    hex: `51 00 0020 00000000 ${Buffer.from(PROBE_SECRET).toString('hex')}`,
    type: 0x51,
    flags: 0,
    stream: 0,
    encode: () => encodeFrame(FRAME.secret, 0, PROBE_SECRET),
    decode: ({ payload }) => decodeProbeSecret(payload),
    message: PROBE_SECRET,
  },
  {
    name: 'situation behind a router that refused',
    hex: '50 00 001a 00000000 02 04 02 03 02 a35e a35f 04 c0a80114 000a 69742072656675736564',
    type: 0x50,
    flags: 0,
    stream: 0,
    encode: () => encodeFrame(FRAME.situation, 0, encodeSituation(HOME)),
    decode: frame => decodeSituation(frame.payload),
    message: HOME,
  },
  {
    name: 'situation of which nothing is known',
    hex: '50 00 000c 00000000 00 00 00 00 00 0000 0000 00 0000',
    type: 0x50,
    flags: 0,
    stream: 0,
    encode: () => encodeFrame(FRAME.situation, 0, encodeSituation(NO_SITUATION)),
    decode: frame => decodeSituation(frame.payload),
    message: NO_SITUATION,
  },
]
