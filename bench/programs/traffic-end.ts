import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { Bulk, MODES } from './bulk.ts'
import { serveCommands } from './commands.ts'
import { monotonicMs, PacedStream } from './paced-stream.ts'

// One end of every measured stream: the program that connects to a forward, and the service behind the far agent.

const bulk = new Bulk()
let paced: PacedStream | undefined

interface Target {
  readonly host: string
  readonly port: number
}

async function dial(target: Target): Promise<Socket> {
  const socket = connect({ ...target, noDelay: true, allowHalfOpen: true })
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  return socket
}

/** Milliseconds from the first byte out to the first one back. */
async function roundTrip(socket: Socket, message: string): Promise<number> {
  const back = once(socket, 'data')
  const sentAt = monotonicMs()
  socket.write(message)
  await back
  return monotonicMs() - sentAt
}

async function echoTimes(target: Target, count: number): Promise<readonly number[]> {
  const socket = await dial(target)
  await roundTrip(socket, `${MODES.echo}x`)
  const times: number[] = []
  for (let i = 0; i < count; i++)
    times.push(await roundTrip(socket, 'a line of sixty-four bytes, about what a terminal program sends\n'))
  socket.destroy()
  return times
}

/** Milliseconds from connecting to the first byte back, for one stream after the other. */
async function openTimes(target: Target, count: number): Promise<readonly number[]> {
  const times: number[] = []
  for (let i = 0; i < count; i++) {
    const startedAt = monotonicMs()
    const socket = await dial(target)
    await roundTrip(socket, `${MODES.echo}x`)
    times.push(monotonicMs() - startedAt)
    socket.destroy()
    await once(socket, 'close')
  }
  return times
}

/** Tries until something listens, then tells when the first byte of the echo was back. */
async function firstByte(target: Target, limitMs: number): Promise<number | null> {
  const until = monotonicMs() + limitMs
  while (monotonicMs() < until) {
    const at = await new Promise<number | null>(resolve => {
      const socket = connect({ ...target, noDelay: true }, () => socket.write(`${MODES.echo}x`))
      socket.on('error', () => undefined)
      socket.once('data', () => {
        resolve(monotonicMs())
        socket.destroy()
      })
      socket.once('close', () => resolve(null))
    })
    if (at !== null) return at
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  return null
}

serveCommands({
  async listen(request) {
    const server = createServer({ noDelay: true, allowHalfOpen: true }, socket => bulk.accept(socket))
    server.listen(request.number('port'), request.text('host'))
    await once(server, 'listening')
  },
  async start(request) {
    const target = { host: request.text('host'), port: request.number('port') }
    const mode = request.text('mode') === 'up' ? 'up' : 'down'
    const sockets = await Promise.all(Array.from({ length: request.number('streams') }, () => dial(target)))
    for (const socket of sockets) bulk.run(socket, mode)
  },
  count: () => ({ bytes: bulk.received, at: monotonicMs() }),
  stop: () => bulk.stop(),
  echo: request => echoTimes({ host: request.text('host'), port: request.number('port') }, request.number('count')),
  open: request => openTimes({ host: request.text('host'), port: request.number('port') }, request.number('count')),
  first: request => firstByte({ host: request.text('host'), port: request.number('port') }, request.number('limitMs')),
  async pace(request) {
    const socket = await dial({ host: request.text('host'), port: request.number('port') })
    socket.write(MODES.echo)
    paced = new PacedStream(socket, request.number('everyMs'))
  },
  look: request => paced?.look(request.number('since')),
  finish: () => paced?.finish(),
})
