import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import test from 'ava'
import { resetSocket } from '../../common/platform/tcp.ts'

/** Both ends of a connection over what this server listens on. */
async function endsOf(server: Server, dial: () => Socket): Promise<readonly [Socket, Socket]> {
  const accepted = new Promise<Socket>(resolve => server.once('connection', resolve))
  const dialled = dial()
  dialled.on('error', () => undefined)
  return [dialled, await accepted]
}

test('a TCP connection that is reset ends with an error at the other end', async t => {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const [near, far] = await endsOf(server, () => connect(port, '127.0.0.1'))
  const ended = new Promise<Error>(resolve => far.once('error', resolve))
  resetSocket(near)
  t.is((await ended).message, 'read ECONNRESET')
  server.close()
})

test('a unix socket, which cannot be reset, is closed and ends nobody', async t => {
  const directory = await mkdtemp(joinPath(tmpdir(), 'culvert-join-'))
  const path = joinPath(directory, 'service.sock')
  const server = createServer()
  await new Promise<void>(resolve => server.listen(path, resolve))
  const [near, far] = await endsOf(server, () => connect(path))
  const closed = new Promise<boolean>(resolve => far.once('close', resolve))
  far.resume()
  t.notThrows(() => resetSocket(near))
  await closed
  t.notThrows(() => resetSocket(near), 'twice is once')
  server.close()
  await rm(directory, { recursive: true })
})
