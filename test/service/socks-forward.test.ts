import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { connectUdp } from '../../common/platform/local-udp.ts'
import { createServiceScene, startTcpService, startUdpService } from './service-scene.ts'

/** A SOCKS5 client that reads exactly as much as it is told to. */
async function socksClient(t: ExecutionContext, port: number): Promise<SocksClient> {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
  socket.on('error', () => undefined)
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  return new SocksClient(socket)
}

class SocksClient {
  readonly socket: Socket
  #held = Buffer.alloc(0)
  #ended = false
  #wake: () => void = () => undefined

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#held = Buffer.concat([this.#held, chunk])
      this.#wake()
    })
    const end = () => {
      this.#ended = true
      this.#wake()
    }
    socket.once('end', end)
    socket.once('close', end)
  }

  /** So many bytes, or fewer at the end. */
  async read(length: number): Promise<Buffer> {
    while (this.#held.length < length && !this.#ended) {
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
    const taken = this.#held.subarray(0, length)
    this.#held = this.#held.subarray(length)
    return taken
  }

  /** The reply's code to a request for a name. */
  async ask(name: string, command = 1): Promise<number | undefined> {
    const port = Buffer.of(0, 80)
    const request = Buffer.concat([Buffer.of(5, command, 0, 3, name.length), Buffer.from(name), port])
    // All at once, as some clients do.
    this.socket.write(Buffer.concat([Buffer.of(5, 1, 0), request]))
    await this.read(2)
    return (await this.read(10))[1]
  }
}

async function createScene(t: ExecutionContext) {
  const echo = await startTcpService(socket => socket.pipe(socket))
  t.teardown(() => echo.server.close())
  const udp = await startUdpService(t, bytes => Buffer.concat([Buffer.from('re: '), bytes]))
  const scene = await createServiceScene(t, {
    Echo: { target: `tcp://127.0.0.1:${echo.port}` },
    closed: { target: 'tcp://127.0.0.1:9' },
    family: { target: `tcp://127.0.0.1:${echo.port}`, allow: ['peer:family'] },
    dns: { target: `udp://127.0.0.1:${udp.local.port}` },
  })
  return { scene, port: await scene.forward('socks5') }
}

test('a name of a service leads there, whatever its case, with half-close', async t => {
  const { scene, port } = await createScene(t)
  t.like(scene.forwards.report()[0], { to: '*.culvert.internal', state: 'listening' })
  for (const name of ['Echo.attic.culvert.internal', 'echo.ATTIC.culvert.internal.']) {
    const client = await socksClient(t, port)
    t.is(await client.ask(name), 0)
    client.socket.end('hello')
    t.is(String(await client.read(100)), 'hello')
  }
})

test('each refusal has its own code', async t => {
  const { port } = await createScene(t)
  for (const [name, code] of [
    ['example.org', 2],
    ['family.attic.culvert.internal', 2],
    ['echo.nobody.culvert.internal', 4],
    ['echo.unknown.culvert.internal', 4],
    ['none.attic.culvert.internal', 5],
    ['closed.attic.culvert.internal', 5],
    ['dns.attic.culvert.internal', 5],
  ] as const) {
    const client = await socksClient(t, port)
    t.is(await client.ask(name), code, name)
    t.is((await client.read(1)).length, 0, `${name}: closed`)
  }
  const bind = await socksClient(t, port)
  t.is(await bind.ask('echo.attic.culvert.internal', 2), 7)
  const byAddress = await socksClient(t, port)
  byAddress.socket.write(Buffer.of(5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, 0, 80))
  t.is((await byAddress.read(12))[3], 8)
  const withPassword = await socksClient(t, port)
  withPassword.socket.write(Buffer.of(5, 1, 2))
  t.deepEqual(await withPassword.read(3), Buffer.of(5, 255))
  const browser = await socksClient(t, port)
  browser.socket.write('GET / HTTP/1.1\r\n\r\n')
  t.is((await browser.read(1)).length, 0)
})

test('datagrams of a SOCKS5 client reach a UDP service, as long as its connection lasts', async t => {
  const { scene, port } = await createScene(t)
  const client = await socksClient(t, port)
  client.socket.write(Buffer.of(5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0))
  const reply = await client.read(12)
  t.deepEqual([...reply.subarray(2, 10)], [5, 0, 0, 1, 127, 0, 0, 1])
  const udp = await connectUdp('127.0.0.1', reply.readUInt16BE(10))
  t.teardown(() => udp.close())
  const name = 'dns.attic.culvert.internal'
  const head = Buffer.concat([Buffer.of(0, 0, 0, 3, name.length), Buffer.from(name), Buffer.of(0, 53)])
  const answer = new Promise<Buffer>(resolve => udp.receive(resolve))
  udp.send(Buffer.from('nonsense'))
  const ask = () => udp.send(Buffer.concat([head, Buffer.from('hi')]))
  // Again, for a datagram may be lost, as when its path is left for a better one.
  const again = setInterval(ask, 1_000)
  ask()
  t.deepEqual(await answer, Buffer.concat([head, Buffer.from('re: hi')]))
  clearInterval(again)
  const idle = scene.attic.until(() => scene.attic.peers.list()[0]?.session?.streamCount === 0)
  client.socket.end()
  await idle
  t.is((await client.read(1)).length, 0)
})
