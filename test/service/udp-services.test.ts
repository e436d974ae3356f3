import { randomBytes } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import { connectUdp, listenUdp, type UdpClient } from '../../common/platform/local-udp.ts'
import { quietPort } from '../quiet-port.ts'
import { createServiceScene, startUdpService } from './service-scene.ts'

async function client(t: ExecutionContext, port: number): Promise<UdpClient> {
  const socket = await connectUdp('127.0.0.1', port)
  t.teardown(() => socket.close())
  return socket
}

/**
 * Sends this until it comes back, for a datagram may be lost, as when its path is left for a better one; gives all that
 * came until then.
 */
async function echoed(socket: UdpClient, bytes: Buffer): Promise<readonly Buffer[]> {
  const came: Buffer[] = []
  const back = new Promise<void>(resolve => {
    socket.receive(answer => {
      came.push(answer)
      if (answer.equals(bytes)) resolve()
    })
  })
  const again = setInterval(() => socket.send(bytes), 1_000)
  socket.send(bytes)
  await back
  clearInterval(again)
  return came
}

for (const direct of [true, false]) {
  test(`datagrams of all sizes come back whole ${direct ? 'over a direct path' : 'over the relay'}`, async t => {
    const echo = await startUdpService(t, bytes => bytes)
    const scene = await createServiceScene(t, { echo: { target: `udp://127.0.0.1:${echo.local.port}` } }, direct)
    const socket = await client(t, await scene.forward('udp', 'attic/echo'))
    for (const size of [40, 0, 1, 1_420, 4_096, 16_384, 65_507]) {
      const sent = randomBytes(size)
      t.deepEqual((await echoed(socket, sent)).at(-1), sent, `${size} bytes`)
    }
    t.is(scene.forwards.report()[0]?.to, 'attic/echo')
  })
}

test('each local program has a flow of its own, and gets only its own answers', async t => {
  const echo = await startUdpService(t, bytes => bytes)
  const scene = await createServiceScene(t, { echo: { target: `udp://127.0.0.1:${echo.local.port}` } })
  const port = await scene.forward('udp', 'attic/echo')
  const answers = await Promise.all(
    Array.from({ length: 50 }, async (_, i) => {
      const socket = await client(t, port)
      return [...new Set((await echoed(socket, Buffer.from(`from ${i}`))).map(String))]
    }),
  )
  t.deepEqual(
    answers,
    Array.from({ length: 50 }, (_, i) => [`from ${i}`]),
  )
  t.is(scene.office.peers.list()[0]?.session?.streamCount, 50)
})

test('nobody gets to a UDP service that is not for him, nor from a stream, nor to a TCP service by datagrams', async t => {
  let heard = 0
  const secret = await startUdpService(t, () => {
    heard++
    return undefined
  })
  const scene = await createServiceScene(t, {
    secret: { target: `udp://127.0.0.1:${secret.local.port}`, allow: ['peer:family'] },
    dns: { target: `udp://127.0.0.1:${secret.local.port}` },
    web: { target: 'tcp://127.0.0.1:9' },
  })
  const said = async (to: string, words: RegExp) => {
    const socket = await client(t, await scene.forward('udp', to))
    await new Promise<void>(resolve => {
      const look = () => (scene.lines.some(line => words.test(line)) ? resolve() : setTimeout(look, 5))
      socket.send(Buffer.from('let me in'))
      look()
    })
  }
  await said('attic/secret', /a forwarded connection failed .*not for this peer/)
  await said('attic/web', /web is no UDP service.*forward tcp:/)
  await said('attic/none', /no service called/)
  const stream = await scene.office.peer(scene.attic.key.id).openStream('dns', new AbortController().signal)
  await t.throwsAsync(stream.accepted(), { code: 'service-unknown', message: /dns is a UDP service.*forward udp:/ })
  t.is(heard, 0)
})

test('a flow ends when nothing listens at the service, and works again when something does', async t => {
  const port = await quietPort()
  const scene = await createServiceScene(t, { echo: { target: `udp://127.0.0.1:${port}` } })
  const socket = await client(t, await scene.forward('udp', 'attic/echo'))
  const down = new Promise<void>(resolve => {
    const ask = () => {
      if (scene.lines.some(line => /a service does not answer .*refused/i.test(line))) resolve()
      else setTimeout(ask, 20)
      socket.send(Buffer.from('anybody?'))
    }
    ask()
  })
  await down
  const service = await listenUdp('127.0.0.1', port)
  service.receive((bytes, from) => service.send(bytes, from))
  t.teardown(() => service.close())
  const answer = new Promise<Buffer>(resolve => socket.receive(resolve))
  const asking = setInterval(() => socket.send(Buffer.from('again')), 100)
  t.is(String(await answer), 'again')
  clearInterval(asking)
})

test('a forward that is removed ends its flows and frees its port', async t => {
  const echo = await startUdpService(t, bytes => bytes)
  const scene = await createServiceScene(t, { echo: { target: `udp://127.0.0.1:${echo.local.port}` } })
  const port = await scene.forward('udp', 'attic/echo')
  const socket = await client(t, port)
  await echoed(socket, Buffer.from('hello'))
  const idle = scene.attic.until(() => scene.attic.peers.list()[0]?.session?.streamCount === 0)
  t.true(await scene.forwards.remove(`udp://127.0.0.1:${port}`))
  await idle
  const listen = { kind: 'udp', host: '127.0.0.1', port } as const
  await t.notThrowsAsync(scene.forwards.add({ listen, to: { peer: 'attic', service: 'echo' } }, false))
  await t.throwsAsync(scene.forwards.add({ listen, to: { peer: 'attic', service: 'echo' } }, false), {
    code: 'port-in-use',
  })
})
