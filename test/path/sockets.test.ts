import { once } from 'node:events'
import test from 'ava'
import { CulvertError, type ErrorCode } from '../../common/errors.ts'
import { dialTcp, listenTcp, resetSocket } from '../../common/platform/tcp.ts'
import { openUdpSocket } from '../../common/platform/udp-socket.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import { quietPort } from '../quiet-port.ts'

const address = '127.0.0.1'
const is = (code: ErrorCode) => ({ instanceOf: CulvertError, code }) as const

test('a TCP connection carries bytes, half-closed on either side', async t => {
  const answered = Promise.withResolvers<string>()
  await using listener = await listenTcp({
    address,
    port: 0,
    async onConnection(socket) {
      const [chunk] = await once(socket, 'data')
      socket.resume()
      await once(socket, 'end')
      socket.end(`${chunk} back`)
    },
  })
  const socket = await dialTcp(listener.local)
  socket.on('data', chunk => answered.resolve(String(chunk)))
  socket.end('there and')
  t.is(await answered.promise, 'there and back')
})

test('a taken port is port-in-use, for TCP and for UDP', async t => {
  await using tcp = await listenTcp({ address, port: 0, onConnection: socket => socket.destroy() })
  await t.throwsAsync(listenTcp({ ...tcp.local, onConnection: () => undefined }), is('port-in-use'))
  await using udp = await openUdpSocket({ family: 4, address })
  await t.throwsAsync(openUdpSocket({ family: 4, ...udp.local }), is('port-in-use'))
})

test('an address that is not here is io, with the address in the message', async t => {
  const message = /192\.0\.2\.77/
  await t.throwsAsync(listenTcp({ address: '192.0.2.77', port: 0, onConnection: () => undefined }), {
    ...is('io'),
    message,
  })
  await t.throwsAsync(openUdpSocket({ family: 4, address: '192.0.2.77' }), { ...is('io'), message })
})

test('a closed port is unreachable, and says so', async t => {
  const closed = { address, port: await quietPort() }
  await t.throwsAsync(dialTcp(closed), { ...is('peer-unreachable'), message: /ECONNREFUSED/ })
})

test('dialling is aborted before and while it runs', async t => {
  const stop = new AbortController()
  // TEST-NET-1 (RFC 5737): nobody answers there.
  const running = dialTcp({ address: '192.0.2.1', port: 9 }, { signal: stop.signal })
  stop.abort()
  await t.throwsAsync(running, { instanceOf: CulvertError })
  await t.throwsAsync(dialTcp({ address, port: 9 }, { signal: stop.signal }), is('aborted'))
})

test('several connections leave from one local port, when each of them names it', async t => {
  const destroy = (socket: { destroy(): void }) => socket.destroy()
  await using one = await listenTcp({ address, port: 0, onConnection: destroy })
  await using two = await listenTcp({ address, port: 0, onConnection: destroy })
  const localPort = await quietPort()
  const first = await dialTcp(one.local, { localPort })
  const second = await dialTcp(two.local, { localPort })
  t.deepEqual([first.localPort, second.localPort], [localPort, localPort])
  first.destroy()
  second.destroy()
})

test('datagrams arrive with their source; after closing, nothing is sent and closing again is harmless', async t => {
  await using receiver = await openUdpSocket({ family: 4, address })
  const sender = await openUdpSocket({ family: 4, address })
  const got = new Promise<readonly [string, Endpoint]>(resolve =>
    receiver.receive((bytes, from) => resolve([bytes.toString(), from])),
  )
  sender.send(Buffer.from('hello'), receiver.local)
  t.deepEqual(await got, ['hello', sender.local])
  await sender.close()
  sender.send(Buffer.from('late'), receiver.local)
  await sender.close()
  t.pass()
})

test('a datagram that nobody takes hurts nobody', async t => {
  await using sender = await openUdpSocket({ family: 4, address })
  const gone = await openUdpSocket({ family: 4, address })
  await gone.close()
  for (let i = 0; i < 3; i++) sender.send(Buffer.from('x'), gone.local)
  await using alive = await openUdpSocket({ family: 4, address })
  const got = new Promise(resolve => alive.receive(resolve))
  sender.send(Buffer.from('x'), alive.local)
  await got
  t.pass()
})

test('a connection that is reset while its end is on its way out is closed for good', async t => {
  const closed: Promise<unknown>[] = []
  await using listener = await listenTcp({
    address,
    port: 0,
    onConnection(socket) {
      closed.push(once(socket, 'close'))
      socket.end()
      // The end goes out in the next ticks: in some of these moments libuv refuses a reset.
      let ticks = closed.length
      const wait = () => (ticks-- > 0 ? process.nextTick(wait) : resetSocket(socket))
      wait()
    },
  })
  for (let i = 0; i < 10; i++) {
    const socket = await dialTcp(listener.local)
    socket.on('error', () => undefined).on('end', () => socket.destroy())
    socket.resume()
    await new Promise(resolve => socket.once('close', resolve))
  }
  t.is((await Promise.all(closed)).length, 10)
})
