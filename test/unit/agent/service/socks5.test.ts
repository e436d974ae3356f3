import test from 'ava'
import {
  MAX_HANDSHAKE_BYTES,
  readGreeting,
  readRequest,
  readSocksDatagram,
  replyForError,
  SOCKS_REPLY,
  socksReply,
} from '../../../../agent/service/socks5.ts'
import { CulvertError } from '../../../../common/errors.ts'
import { fromHex } from '../../../vectors/keys.ts'
import { mutateBytes, seededDraw } from '../../mutate.ts'

const malformed = { instanceOf: CulvertError, code: 'wire-malformed' } as const
const DOMAIN_REQUEST = fromHex('05 01 00 03 04 612e6263 0050')

test('a client that can do without authentication is told so, another one that it cannot', t => {
  t.deepEqual(readGreeting(fromHex('05 02 0200 0501')), { value: { ok: true, answer: fromHex('05 00') }, length: 4 })
  t.deepEqual(readGreeting(fromHex('05 01 02')), { value: { ok: false, answer: fromHex('05 ff') }, length: 3 })
  t.deepEqual(readGreeting(fromHex('05 00')), { value: { ok: false, answer: fromHex('05 ff') }, length: 2 })
})

test('requests are read, with a name or an address', t => {
  t.deepEqual(readRequest(DOMAIN_REQUEST), { value: { command: 'connect', domain: 'a.bc', port: 80 }, length: 11 })
  const udp4 = readRequest(fromHex('05 03 00 01 00000000 0000'))
  t.deepEqual(udp4, { value: { command: 'udp-associate', domain: undefined, port: 0 }, length: 10 })
  const bind6 = readRequest(fromHex(`05 02 00 04 ${'00'.repeat(16)} 0050`))
  t.deepEqual(bind6, { value: { command: 'other', domain: undefined, port: 80 }, length: 22 })
})

test('what has not come whole is waited for', t => {
  for (let length = 0; length < DOMAIN_REQUEST.length; length++) {
    t.is(readRequest(DOMAIN_REQUEST.subarray(0, length)), undefined)
  }
  for (let length = 0; length < 4; length++) t.is(readGreeting(fromHex('05020001').subarray(0, length)), undefined)
})

test('what is no SOCKS5 is malformed at its first byte', t => {
  t.throws(() => readGreeting(Buffer.from('G')), malformed)
  t.throws(() => readGreeting(fromHex('04')), malformed)
  t.throws(() => readRequest(fromHex('04')), malformed)
  t.throws(() => readRequest(fromHex('05 01 00 02')), malformed)
})

test('replies carry the code and the bound address', t => {
  t.deepEqual(socksReply(SOCKS_REPLY.hostUnreachable), fromHex('05 04 00 01 00000000 0000'))
  t.deepEqual(
    socksReply(SOCKS_REPLY.succeeded, { address: fromHex('7f000001'), port: 4660 }),
    fromHex('05 00 00 01 7f000001 1234'),
  )
})

test('errors become the codes that clients know', t => {
  t.is(replyForError('not-authorized'), 2)
  t.is(replyForError('peer-offline'), 4)
  t.is(replyForError('service-unknown'), 5)
  t.is(replyForError('service-unavailable'), 5)
  t.is(replyForError('busy'), 1)
})

test('datagrams are read, their heads fit for the answer, and fragments are dropped', t => {
  const datagram = readSocksDatagram(fromHex('0000 00 03 04 612e6263 0035 6869'))
  t.is(datagram?.domain, 'a.bc')
  t.deepEqual(datagram?.data, Buffer.from('hi'))
  t.deepEqual(datagram?.head, fromHex('0000 00 03 04 612e6263 0035'))
  t.is(readSocksDatagram(fromHex('0000 01 03 04 612e6263 0035 6869')), undefined)
  t.is(readSocksDatagram(fromHex('0000')), undefined)
  t.is(readSocksDatagram(Buffer.alloc(0)), undefined)
})

test('100,000 mutations are read, waited for or malformed, and nothing else', t => {
  const draw = seededDraw(5)
  const originals = [fromHex('05 02 0200'), DOMAIN_REQUEST, fromHex(`05 03 00 04 ${'00'.repeat(16)} 0050`)]
  let refused = 0
  for (let i = 0; i < 100_000; i++) {
    const bytes = mutateBytes(originals[i % 3] ?? Buffer.alloc(0), draw, 600)
    for (const read of [readGreeting, readRequest, readSocksDatagram]) {
      try {
        const taken = read(bytes)
        if (taken && 'length' in taken && taken.length > Math.min(bytes.length, MAX_HANDSHAKE_BYTES)) {
          return t.fail(`${taken.length} of ${bytes.length} bytes taken`)
        }
      } catch (thrown) {
        if (!(thrown instanceof CulvertError) || thrown.code !== 'wire-malformed') throw thrown
        refused++
      }
    }
  }
  t.true(refused > 1_000)
})
