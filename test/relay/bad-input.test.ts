import { once } from 'node:events'
import { connect } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import test from 'ava'
import { generateKeyPair } from '../../common/platform/ed25519.ts'
import { openUdpSocket } from '../../common/platform/udp-socket.ts'
import { encodeAgentMessage } from '../../common/wire/relay-message.ts'
import { decodeStun, encodeStun } from '../../common/wire/stun.ts'
import { first, mutations } from './mutations.ts'
import { hello, lineUrl, TestLine, testAgent } from './test-agent.ts'
import { bytesOf, TestNetwork } from './test-network.ts'
import { testRelay } from './test-relay.ts'

// Fixed seeds: a failure can be run again. Each test ends by showing that the same relay still does its work.

const unlimited = { limits: { handshakesPerSecond: 100_000, connectionsPerAddress: 1_000 } }
const key = generateKeyPair()
const { id } = key
const network = new TestNetwork()
const admin = generateKeyPair()
const membership = bytesOf(network.byAdmin(admin, network.admin(admin.id), id))

const messages = [
  encodeAgentMessage({ type: 'watch', peers: [id, generateKeyPair().id] }),
  encodeAgentMessage({ type: 'call', call: 1, to: id }),
  encodeAgentMessage({ type: 'refuse', ticket: new Uint8Array(16), reason: 'busy' }),
  encodeAgentMessage({ type: 'ping', id: 7 }),
  encodeAgentMessage({
    type: 'hello',
    protocol: 1,
    peer: id,
    nonce: new Uint8Array(32),
    relayName: '127.0.0.1:1',
    signature: new Uint8Array(64),
    software: 'x',
    instance: new Uint8Array(8),
    membership,
  }),
  encodeAgentMessage({ type: 'guests', guests: [{ id, notAfter: 2 ** 40 }] }),
  encodeAgentMessage({ type: 'statement', chain: membership }),
  encodeAgentMessage({ type: 'statement', chain: bytesOf(network.removal(admin.id)) }),
].map(bytes => Buffer.from(bytes))

test.serial('20,000 mutated control messages, before and after the welcome, end lines at most', async t => {
  const { relay } = await testRelay(t, unlimited)
  const bad = first(20_000, mutations(messages, 1))
  let lines = 0
  for (let batch = take(bad, 25); batch.length > 0; batch = take(bad, 25)) {
    const line = new TestLine(lineUrl(relay.http))
    if (lines++ % 2 === 0) {
      await hello(line, relay.http, { key: lines % 4 === 1 ? key : generateKeyPair(), membership })
      await line.next('welcome')
    } else await line.next('challenge')
    for (const bytes of batch) line.socket.send(bytes)
    line.socket.close()
    await line.whenClosed()
  }
  t.is((await testAgent(relay.http)).welcome.type, 'welcome')
  while (relay.status().connections > 1) await nextTurn()
  t.is(relay.status().lines, 1)
})

const requests = [
  'GET /v1/agent HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n\x82\x85\x00\x00\x00\x00hello',
  `GET /v1/pipe/${'a'.repeat(22)} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: culvert-pipe\r\n\r\nearly`,
  'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  'CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n',
].map(text => Buffer.from(text, 'latin1'))

test.serial('20,000 mutated requests on the HTTP port leave nothing behind', async t => {
  const { relay } = await testRelay(t, unlimited, { timing: { headersMs: 500, helloMs: 500 } })
  const bad = first(20_000, mutations(requests, 2))
  const send = async (bytes: Buffer) => {
    const socket = connect({ port: relay.http.port, host: '127.0.0.1' })
    socket.on('error', () => undefined)
    socket.end(bytes)
    socket.resume()
    await once(socket, 'close')
  }
  for (let batch = take(bad, 50); batch.length > 0; batch = take(bad, 50)) await Promise.all(batch.map(send))
  t.is((await testAgent(relay.http)).welcome.type, 'welcome')
  while (relay.status().connections > 1) await nextTurn()
  t.is(relay.status().pipesOpen, 0)
})

test.serial('20,000 mutated WebSocket frames end lines at most', async t => {
  const { relay } = await testRelay(t, unlimited)
  const frames = messages.map(message => {
    const masked = Buffer.concat([
      Buffer.from([0x82, 0x80 | 126, message.length >> 8, message.length & 0xff, 0, 0, 0, 0]),
      message,
    ])
    return masked
  })
  const bad = first(
    20_000,
    mutations([...frames, Buffer.from('8980000000008a8000000000', 'hex'), Buffer.from('888200000000', 'hex')], 3),
  )
  const upgrade = requests[0]?.subarray(0, requests[0].indexOf('\r\n\r\n') + 4) ?? Buffer.alloc(0)
  const send = async (batch: readonly Buffer[]) => {
    const socket = connect({ port: relay.http.port, host: '127.0.0.1' })
    socket.on('error', () => undefined)
    socket.write(upgrade)
    for (const bytes of batch) socket.write(bytes)
    socket.end()
    socket.resume()
    await once(socket, 'close')
  }
  for (let batch = take(bad, 200); batch.length > 0; batch = take(bad, 200)) {
    await Promise.all([0, 50, 100, 150].map(at => send(batch.slice(at, at + 5))).concat(batch.map(one => send([one]))))
  }
  t.is((await testAgent(relay.http)).welcome.type, 'welcome')
  while (relay.status().connections > 1) await nextTurn()
  t.is(relay.status().lines, 1)
})

const transactionId = new Uint8Array(12)
const stunRequests = [
  encodeStun({ class: 'request', method: 'binding', transactionId }),
  encodeStun({
    class: 'request',
    method: 'binding',
    transactionId,
    changeRequest: { address: true, port: true },
    software: 'x',
  }),
  encodeStun({ class: 'success', method: 'binding', transactionId, xorMappedAddress: { address: '::1', port: 1 } }),
]

test.serial('20,000 mutated STUN datagrams and TCP streams are survived', async t => {
  const { relay } = await testRelay(t, { stun: { addresses: ['127.0.0.1', '127.0.0.2'], port: 0 } })
  const [port = 0] = relay.stunPorts ?? []
  const bad = first(20_000, mutations(stunRequests, 4))
  await using socket = await openUdpSocket({ family: 4, address: '127.0.0.3' })
  for (let batch = take(bad, 100); batch.length > 0; batch = take(bad, 100)) {
    for (const bytes of batch) socket.send(bytes, { address: '127.0.0.1', port })
    const stream = connect({ port, host: '127.0.0.1' })
    stream.on('error', () => undefined)
    stream.end(Buffer.concat(batch.slice(0, 5)))
    stream.resume()
    await once(stream, 'close')
  }
  await using other = await openUdpSocket({ family: 4, address: '127.0.0.4' })
  const answer = new Promise(resolve => other.receive(bytes => resolve(decodeStun(bytes)?.class)))
  const again = setInterval(() => other.send(stunRequests[0] ?? Buffer.alloc(0), { address: '127.0.0.1', port }), 100)
  t.is(await answer, 'success')
  clearInterval(again)
})

function take(items: Generator<Buffer>, count: number): readonly Buffer[] {
  const batch: Buffer[] = []
  while (batch.length < count) {
    const next = items.next()
    if (next.done) break
    batch.push(next.value)
  }
  return batch
}
