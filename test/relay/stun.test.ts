import { once } from 'node:events'
import { connect } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { CulvertError } from '../../common/errors.ts'
import { systemRandom } from '../../common/platform/random.ts'
import { openUdpSocket } from '../../common/platform/udp-socket.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import { decodeStun, encodeStun, STUN_TRANSACTION_BYTES, type StunMessage } from '../../common/wire/stun.ts'
import { hasIpv6 } from '../ipv6.ts'
import { quietPort } from '../quiet-port.ts'
import { readAll } from './bytes.ts'
import { pipeBetween, testAgent } from './test-agent.ts'
import { stillClock, testRelay } from './test-relay.ts'

const two = { stun: { addresses: ['127.0.0.1', '127.0.0.2'], port: 0 } }

const request = (more: Partial<StunMessage> = {}): StunMessage => ({
  class: 'request',
  method: 'binding',
  transactionId: systemRandom.bytes(STUN_TRANSACTION_BYTES),
  ...more,
})

interface Heard {
  readonly message: StunMessage | undefined
  readonly from: Endpoint
  readonly bytes: number
}

async function udpClient(t: ExecutionContext) {
  const socket = await openUdpSocket({ family: 4, address: '127.0.0.1' })
  t.teardown(() => socket.close())
  const heard: Heard[] = []
  let wake: (() => void) | undefined
  socket.receive((bytes, from) => {
    heard.push({ message: decodeStun(bytes), from, bytes: bytes.length })
    wake?.()
  })
  return {
    local: socket.local,
    send: (bytes: Uint8Array, to: Endpoint) => socket.send(bytes, to),
    async next(): Promise<Heard> {
      for (;;) {
        const first = heard.shift()
        if (first) return first
        await new Promise<void>(resolve => {
          wake = resolve
        })
      }
    },
  }
}

const changes = [
  [undefined, '127.0.0.1', 0],
  [{ address: false, port: false }, '127.0.0.1', 0],
  [{ address: false, port: true }, '127.0.0.1', 1],
  [{ address: true, port: false }, '127.0.0.2', 0],
  [{ address: true, port: true }, '127.0.0.2', 1],
] as const

for (const [change, address, portIndex] of changes) {
  test(`with two addresses, ${JSON.stringify(change ?? 'no change request')} is answered from ${address}, port ${portIndex}`, async t => {
    const { relay } = await testRelay(t, two)
    const ports = relay.stunPorts ?? [0, 0]
    const client = await udpClient(t)
    const asked = request(change ? { changeRequest: change } : {})
    const bytes = encodeStun(asked)
    client.send(bytes, { address: '127.0.0.1', port: ports[0] })
    const answer = await client.next()
    const origin = { address, port: ports[portIndex] }
    t.deepEqual(answer.from, origin)
    t.deepEqual(answer.message, {
      class: 'success',
      method: 'binding',
      transactionId: asked.transactionId,
      xorMappedAddress: client.local,
      responseOrigin: origin,
      otherAddress: { address: '127.0.0.2', port: ports[1] },
    })
    t.true(answer.bytes <= 3 * bytes.length + 8)
  })
}

test('with one address, only the port can change; asking for more is an error, not silence', async t => {
  const { relay } = await testRelay(t, { stun: { addresses: ['127.0.0.1'], port: 0 } })
  const ports = relay.stunPorts ?? [0, 0]
  const client = await udpClient(t)
  const main = { address: '127.0.0.1', port: ports[0] }
  client.send(encodeStun(request({ changeRequest: { address: false, port: true } })), main)
  const moved = await client.next()
  t.is(moved.from.port, ports[1])
  t.is(moved.message?.otherAddress, undefined)
  client.send(encodeStun(request({ changeRequest: { address: true, port: true } })), main)
  const refused = await client.next()
  t.is(refused.from.port, ports[0])
  t.is(refused.message?.errorCode, 420)
  t.deepEqual(refused.message?.unknownAttributes, [3])
})

test('without addresses, STUN answers on all of them', async t => {
  const { relay } = await testRelay(t, { stun: { port: 0 } })
  const ports = relay.stunPorts ?? [0, 0]
  const client = await udpClient(t)
  client.send(encodeStun(request()), { address: '127.0.0.1', port: ports[1] })
  t.deepEqual((await client.next()).message?.xorMappedAddress, client.local)
  if (!hasIpv6()) return
  const six = await openUdpSocket({ family: 6, address: '::1' })
  t.teardown(() => six.close())
  const heard = new Promise<StunMessage | undefined>(resolve => six.receive(bytes => resolve(decodeStun(bytes))))
  six.send(encodeStun(request()), { address: '::1', port: ports[0] })
  t.deepEqual((await heard)?.xorMappedAddress, six.local)
})

test('only binding requests are answered', async t => {
  const { relay } = await testRelay(t, two)
  const main = { address: '127.0.0.1', port: relay.stunPorts?.[0] ?? 0 }
  const client = await udpClient(t)
  for (const other of [
    { class: 'indication' },
    { class: 'success' },
    { class: 'error', errorCode: 400 },
    { method: 3 },
  ] as const) {
    client.send(encodeStun(request(other)), main)
  }
  client.send(Buffer.from('hello'), main)
  client.send(encodeStun(request()).subarray(0, 19), main)
  const last = request()
  client.send(encodeStun(last), main)
  t.deepEqual((await client.next()).message?.transactionId, last.transactionId)
})

test('one source gets only so many answers, and others still get theirs', async t => {
  const { relay } = await testRelay(t, { ...two, admin: '127.0.0.1:0' }, { clock: stillClock })
  const main = { address: '127.0.0.1', port: relay.stunPorts?.[0] ?? 0 }
  const client = await udpClient(t)
  const metrics = async () => (await fetch(`http://127.0.0.1:${relay.admin?.port}/metrics`)).text()
  while (!(await metrics()).includes('reason="stun-rate"')) {
    // Few at a time: what the kernel's buffer cannot hold is never counted.
    for (let i = 0; i < 100; i++) client.send(encodeStun(request()), main)
  }
  const other = await openUdpSocket({ family: 4, address: '127.0.0.9' })
  t.teardown(() => other.close())
  const heard = new Promise<StunMessage | undefined>(resolve => other.receive(bytes => resolve(decodeStun(bytes))))
  other.send(encodeStun(request()), main)
  t.is((await heard)?.class, 'success')
})

test('over TCP the same is answered, several times, in pieces and several in one', async t => {
  const { relay } = await testRelay(t, two)
  for (const port of relay.stunPorts ?? []) {
    const socket = connect({ port, host: '127.0.0.1' })
    await once(socket, 'connect')
    const [a, b, c] = [request(), request(), request()]
    const bytes = encodeStun(a)
    socket.write(bytes.subarray(0, 7))
    socket.write(Buffer.concat([bytes.subarray(7), encodeStun(b), encodeStun(c).subarray(0, 3)]))
    socket.write(encodeStun(c).subarray(3))
    let received = Buffer.alloc(0)
    const answers: StunMessage[] = []
    while (answers.length < 3) {
      const [chunk]: readonly unknown[] = await once(socket, 'data')
      if (Buffer.isBuffer(chunk)) received = Buffer.concat([received, chunk])
      while (received.length >= 20 && received.length >= 20 + received.readUInt16BE(2)) {
        const length = 20 + received.readUInt16BE(2)
        const message = decodeStun(received.subarray(0, length))
        if (message) answers.push(message)
        received = received.subarray(length)
      }
    }
    t.deepEqual(
      answers.map(answer => answer.transactionId),
      [a, b, c].map(asked => asked.transactionId),
    )
    t.deepEqual(answers[0]?.xorMappedAddress, { address: '127.0.0.1', port: socket.localPort ?? 0 })
    t.deepEqual(answers[0]?.responseOrigin, { address: '127.0.0.1', port })
    socket.destroy()
  }
})

test('TCP that is not STUN is closed, and STUN over TCP ends after its time', async t => {
  const { relay } = await testRelay(t, two, { timing: { stunTcpMs: 100 } })
  const port = relay.stunPorts?.[0] ?? 0
  for (const bytes of [Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.alloc(40, 0xff), encodeStun(request())]) {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.on('error', () => undefined)
    socket.write(bytes)
    socket.resume()
    await once(socket, 'close')
  }
  t.pass()
})

test('a STUN port in use is named with the remedy', async t => {
  const { relay } = await testRelay(t, two)
  const port = relay.stunPorts?.[0] ?? 0
  const timing = { bindRetryMs: 150 }
  const again = testRelay(t, { stun: { addresses: ['127.0.0.1'], port } }, { timing })
  const error = await t.throwsAsync(again, { instanceOf: CulvertError })
  t.is(error?.code, 'port-in-use')
  t.regex(error?.message ?? '', /choose another stun\.port/)
})

test('a STUN port that is in use at the start is waited for, then taken', async t => {
  const first = await testRelay(t, two)
  const second = testRelay(t, { stun: { ...two.stun, port: first.relay.stunPorts?.[0] ?? 0 } })
  await first.relay.stop()
  t.deepEqual((await second).relay.stunPorts, first.relay.stunPorts)
})

test('a relay that goes lets go of every port at once, while its last pipes finish', async t => {
  const options = { ...two, listen: `127.0.0.1:${await quietPort()}`, admin: `127.0.0.1:${await quietPort()}` }
  const { relay } = await testRelay(t, options, { timing: { drainMs: 60_000 } })
  const [a, b] = await Promise.all([testAgent(relay.http), testAgent(relay.http)])
  const [left, right] = await pipeBetween(relay.http, a, b)
  let stopped = false
  const stopping = relay.stop().then(() => {
    stopped = true
  })
  const again = { ...options, stun: { ...two.stun, port: relay.stunPorts?.[0] ?? 0 } }
  const next = await testRelay(t, again)
  t.deepEqual(next.relay.stunPorts, relay.stunPorts)
  t.false(stopped)
  left.end('the last words')
  t.is((await readAll(right)).toString(), 'the last words')
  right.end()
  await stopping
})

test('an announced address that is not on this machine is announced all the same; two of them are a fault', async t => {
  const { relay } = await testRelay(t, { stun: { addresses: ['192.0.2.7'], port: 0 } })
  const client = await udpClient(t)
  client.send(encodeStun(request()), { address: '127.0.0.1', port: relay.stunPorts?.[0] ?? 0 })
  t.is((await client.next()).message?.responseOrigin?.address, '192.0.2.7')
  const error = await t.throwsAsync(testRelay(t, { stun: { addresses: ['192.0.2.7', '192.0.2.8'], port: 0 } }))
  t.regex(error?.message ?? '', /addresses of this machine/)
})
