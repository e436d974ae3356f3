import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdir, readdir, rename, stat, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import test from 'ava'
import { createControlClient } from '../../agent/control/control-client.ts'
import { startControlServer } from '../../agent/control/control-server.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { mutate, seeded } from '../unit/agent/config/seeded-mutations.ts'
import { SAMPLE_STATUS } from '../unit/agent/control/sample-status.ts'
import { createDriver, createScene, rawRequest } from './control-scene.ts'

test('gives the status to the owner of the socket only', async t => {
  const { client, socketPath } = await createScene(t)
  t.deepEqual(await client.status(), { ...SAMPLE_STATUS, uptimeS: 0 })
  t.is((await stat(socketPath)).mode & 0o777, 0o600)
})

test('a directory that is made for its group opens the socket to it, and no other directory does', async t => {
  const { driver, log, home: scene } = await createScene(t)
  for (const [mode, socket] of [
    [0o2750, 0o660],
    [0o750, 0o600],
    [0o2755, 0o600],
    [0o2700, 0o600],
  ] as const) {
    const home = join(scene, mode.toString(8))
    await mkdir(home)
    await chmod(home, mode)
    const socketPath = join(home, 'agent.sock')
    await using _server = await startControlServer({ target: driver, clock: systemClock, log, socketPath })
    t.is((await stat(socketPath)).mode & 0o777, socket)
  }
})

test('a watcher sees the status at once and after a change, until it stops', async t => {
  const { client, driver } = await createScene(t)
  const stop = new AbortController()
  const seen: number[] = []
  for await (const status of client.watchStatus(stop.signal)) {
    seen.push(status.uptimeS)
    if (seen.length === 1) driver.change()
    else stop.abort()
  }
  t.deepEqual(seen, [0, 1])
})

test('errors come through with their code and words', async t => {
  const { client, lines } = await createScene(t)
  await t.throwsAsync(client.connect('tv', 'ssh'), { code: 'peer-unknown', message: 'no peer is called tv' })
  await t.throwsAsync(client.connect('laptop', 'secret'), { code: 'not-authorized' })
  await t.throwsAsync(client.ping('tv'), { code: 'peer-offline' })
  await t.throwsAsync(client.ping('no name'), { code: 'usage', message: /"no name" is no peer/ })
  t.deepEqual(lines, [])
  await t.throwsAsync(client.connect('laptop', 'bug'), { code: 'internal' })
  t.regex(lines.join(''), /^error control socket: x is not a function/)
})

test('pings', async t => {
  const { client } = await createScene(t)
  t.is((await client.ping('laptop')).rttMs, 3)
})

test('opens and closes forwards', async t => {
  const { client } = await createScene(t)
  const forward = { listen: 'tcp://127.0.0.1:2222', to: 'laptop/ssh' }
  t.deepEqual(await client.addForward(forward.listen, forward.to), forward)
  await t.throwsAsync(client.addForward(forward.listen, forward.to), { code: 'port-in-use' })
  t.true(await client.removeForward(forward.listen))
  t.false(await client.removeForward(forward.listen))
  await t.throwsAsync(client.addForward('2222', 'laptop/ssh'), { code: 'usage', message: /no address to listen on/ })
  await t.throwsAsync(client.addForward(forward.listen, 'laptop'), { code: 'usage', message: /PEER\/SERVICE/ })
  await t.throwsAsync(client.addForward(forward.listen, undefined), { code: 'usage', message: /PEER\/SERVICE/ })
  const socks = 'socks5://127.0.0.1:1080'
  t.is((await client.addForward(socks, undefined)).listen, socks)
  await t.throwsAsync(client.addForward(socks, 'laptop/ssh'), { code: 'usage', message: /leads to all/ })
  const longest = `unix:/${'x'.repeat(106)}`
  t.is((await client.addForward(longest, forward.to)).listen, longest)
  await t.throwsAsync(client.addForward(`${longest}x`, forward.to), {
    code: 'usage',
    message: /at most 107 bytes.*108/,
  })
})

test('carries 32 MiB there and back unchanged, then both ends close', async t => {
  const { client } = await createScene(t)
  const { socket, ended } = await client.connect('laptop', 'echo')
  const data = randomBytes(32 * 1024 * 1024)
  const back = createHash('sha256')
  socket.on('data', chunk => back.update(chunk))
  socket.end(data)
  await once(socket, 'end')
  await ended()
  t.is(back.digest('hex'), createHash('sha256').update(data).digest('hex'))
})

test('an end in one direction leaves the other open', async t => {
  const { client, driver } = await createScene(t)
  const { socket, ended } = await client.connect('laptop', 'hold')
  const far = await driver.held
  socket.end('question')
  const heard = await far.setEncoding('utf8').toArray()
  t.is(heard.join(''), 'question')
  far.end('answer')
  t.is((await socket.setEncoding('utf8').toArray()).join(''), 'answer')
  await t.notThrowsAsync(ended())
})

test('a service that ends first can still be sent to', async t => {
  const { client, driver } = await createScene(t)
  const { socket, ended } = await client.connect('laptop', 'hold')
  const far = await driver.held
  far.end()
  socket.resume()
  await once(socket, 'end')
  socket.end('still here')
  t.is((await far.setEncoding('utf8').toArray()).join(''), 'still here')
  await t.notThrowsAsync(ended())
})

test('a stream that was cut is told apart from one that ended', async t => {
  const { client, driver } = await createScene(t)
  const { socket, ended } = await client.connect('laptop', 'hold')
  const far = await driver.held
  far.write('half of it')
  await once(socket, 'data')
  socket.on('error', () => undefined)
  far.destroy()
  await once(socket, 'end')
  await t.throwsAsync(ended(), { code: 'stream-reset' })
})

test('a program that goes away while its stream is opened takes the attempt with it', async t => {
  const { client, driver } = await createScene(t)
  const stop = new AbortController()
  const attempt = client.connect('laptop', 'never', stop.signal)
  setImmediate(() => stop.abort())
  await t.throwsAsync(attempt, { code: 'aborted' })
  const again = new AbortController()
  const started = client.connect('laptop', 'never', again.signal)
  await client.status()
  again.abort()
  await t.throwsAsync(started, { code: 'aborted' })
  await driver.aborted
})

test('a program that goes away during a stream cuts it', async t => {
  const { client, driver } = await createScene(t)
  const { socket } = await client.connect('laptop', 'hold')
  const far = await driver.held
  far.on('error', () => undefined)
  socket.destroy()
  far.resume()
  far.write(Buffer.alloc(1024 * 1024))
  await once(far, 'close')
  t.true(far.destroyed)
})

test('without an agent, the error says how to start one', async t => {
  const { home } = await createScene(t)
  await t.throwsAsync(createControlClient(join(home, 'none.sock')).status(), {
    code: 'agent-not-running',
    message: /no agent answers on .*none\.sock; start one with "culvert agent"/,
  })
})

test('a socket that a killed agent left is replaced; one that answers, or another file, is not', async t => {
  const { home, socketPath, log } = await createScene(t)
  const options = { target: createDriver(), clock: systemClock, log }
  await t.throwsAsync(startControlServer({ ...options, socketPath }), { code: 'port-in-use', message: /another agent/ })
  const file = join(home, 'file')
  await writeFile(file, 'precious')
  await t.throwsAsync(startControlServer({ ...options, socketPath: file }), {
    code: 'port-in-use',
    message: /no socket/,
  })
  await t.throwsAsync(startControlServer({ ...options, socketPath: join(file, 'x') }), {
    code: 'io',
    message: /control socket/,
  })

  const stale = join(home, 'stale.sock')
  const leaver = createServer().listen(join(home, 'other.sock'))
  await once(leaver, 'listening')
  await rename(join(home, 'other.sock'), stale)
  await new Promise(resolve => leaver.close(resolve))
  const server = await startControlServer({ ...options, socketPath: stale })
  t.is((await createControlClient(stale).status()).version, '0.1.0')
  await server.close()
  t.false((await readdir(home)).includes('stale.sock'))
})

test('closing cuts streams, watchers and attempts', async t => {
  const { client, server, driver } = await createScene(t)
  const { socket } = await client.connect('laptop', 'hold')
  socket.on('error', () => undefined)
  socket.resume()
  await driver.held
  const attempt = client.connect('laptop', 'never')
  const watcher = client.watchStatus()[Symbol.asyncIterator]()
  await watcher.next()
  const closed = once(socket, 'end')
  await server.close()
  await closed
  await t.throwsAsync(attempt, { code: 'agent-not-running' })
  await t.throwsAsync(watcher.next(), { code: 'agent-not-running' })
})

const RAW: readonly (readonly [name: string, request: string, answer: RegExp])[] = [
  [
    'an unknown route',
    'GET /v1/nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    /^HTTP\/1\.1 404 .*"code":"usage"/s,
  ],
  [
    'a wrong method',
    'PUT /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
    /^HTTP\/1\.1 404 .*usage/s,
  ],
  [
    'a body that is no JSON',
    'POST /v1/ping HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\n{{{',
    /400 .*no JSON/s,
  ],
  [
    'a body without what is needed',
    'POST /v1/ping HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}',
    /400 .*needs \\"peer\\"/s,
  ],
  [
    'a stream without a peer',
    'GET /v1/connect/x HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: culvert-stream\r\n\r\n',
    /^HTTP\/1\.1 404 .*PEER\/SERVICE/s,
  ],
  [
    'another protocol',
    'GET /v1/connect/laptop/echo HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
    /^HTTP\/1\.1 400 /,
  ],
  ['an unknown stream', 'GET /v1/streams/77 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', /400 .*number 77/s],
  ['no HTTP at all', '\u0016\u0003\u0001 hello\r\n\r\n', /^$/],
]

for (const [name, request, answer] of RAW) {
  test(`refuses ${name}`, async t => {
    const { socketPath } = await createScene(t)
    t.regex(await rawRequest(socketPath, request), answer)
  })
}

test('a body of more than 64 KiB is refused before it is read to its end', async t => {
  const { socketPath } = await createScene(t)
  const head = 'POST /v1/ping HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n'
  t.regex(await rawRequest(socketPath, head + ' '.repeat(200_000)), /^HTTP\/1\.1 400 .*65536 bytes/s)
})

test('survives 20,000 mutations of requests and bodies', async t => {
  const { socketPath, client, lines } = await createScene(t)
  const random = seeded(4)
  const body = JSON.stringify({ listen: 'tcp://127.0.0.1:2222', to: 'laptop/ssh', peer: 'laptop' })
  const heads = ['POST /v1/ping', 'POST /v1/forwards', 'DELETE /v1/forwards', 'GET /v1/connect/laptop/echo']
  const one = async () => {
    const mutant = Buffer.from(mutate(body, random))
    const upgrade = random(8) === 0 ? 'Connection: upgrade\r\nUpgrade: culvert-stream\r\n' : 'Connection: close\r\n'
    const head = `${heads[random(heads.length)]} HTTP/1.1\r\nHost: x\r\n${upgrade}Content-Length: ${mutant.length}\r\n\r\n`
    const text = random(4) === 0 ? Buffer.from(mutate(head, random)) : Buffer.from(head)
    // The end of our side stands for a program that goes away: no mutant may leave a connection hanging.
    await rawRequestThenEnd(socketPath, Buffer.concat([text, mutant]))
  }
  for (let round = 0; round < 20_000; round += 20) await Promise.all(Array.from({ length: 20 }, one))
  t.is((await client.status()).version, '0.1.0')
  t.deepEqual(lines, [])
})

async function rawRequestThenEnd(socketPath: string, text: Uint8Array): Promise<void> {
  const socket = connect({ path: socketPath })
  socket.on('error', () => undefined)
  socket.resume()
  socket.end(text)
  await once(socket, 'close')
}
