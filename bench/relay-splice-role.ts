import { connect, createServer, type Socket } from 'node:net'
import { systemClock } from '../common/platform/clock.ts'
import { generateKeyPair } from '../common/platform/ed25519.ts'
import { splice } from '../relay/splice.ts'
import { Traffic } from '../relay/traffic.ts'

// One process of the relay benchmark: `relay MODE PORT`, `sink HOST PORT [listen]` or `source HOST PORT BYTES`.

const [role, ...rest] = process.argv.slice(2)
if (role === 'relay') relay(rest[0] ?? '', Number(rest[1]))
else if (role === 'sink') sink(rest[0] ?? '', Number(rest[1]), rest[2] === 'listen')
else source(rest[0] ?? '', Number(rest[1]), Number(rest[2]))

/** Joins each two connections that come in, by our splice with its quotas, or by `socket.pipe`. */
function relay(mode: string, port: number): void {
  const none = () => ({ bytesPerSecond: null, bytesPerDay: null })
  const traffic = new Traffic(systemClock, none, none)
  const peer = generateKeyPair().id
  let waiting: Socket | undefined
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, socket => {
    socket.on('error', () => undefined)
    const other = waiting
    waiting = other ? undefined : socket
    if (!other) return
    if (mode === 'pipe') {
      other.pipe(socket)
      socket.pipe(other)
      return
    }
    const meter = (events: Parameters<Traffic['meter']>[1]) => traffic.meter(peer, events)
    splice({ socket: other, meter }, { socket, meter }, mode === 'fast' ? 'fast' : 'stream', () => undefined)
  })
  server.listen(port, () => process.stdout.write('ready\n'))
}

/** Reads everything and prints how many bytes it was. */
function sink(host: string, port: number, listens: boolean): void {
  let bytes = 0
  const finish = (socket: Socket) => {
    process.stdout.write(`${bytes}\n`)
    socket.end()
    process.exitCode = 0
  }
  if (listens) {
    const server = createServer(socket => {
      server.close()
      socket.on('data', chunk => {
        bytes += chunk.length
      })
      socket.once('end', () => finish(socket))
    })
    server.listen(port, host, () => process.stdout.write('ready\n'))
    return
  }
  const onread = {
    buffer: Buffer.alloc(256 * 1024),
    callback: (length: number) => {
      bytes += length
      return true
    },
  }
  const socket = connect({ host, port, onread }, () => process.stdout.write('ready\n'))
  socket.once('end', () => finish(socket))
}

function source(host: string, port: number, total: number): void {
  const chunk = Buffer.alloc(256 * 1024, 0x5a)
  let left = total
  const socket = connect({ host, port }, () => send())
  socket.resume()
  const send = () => {
    while (left > 0) {
      const piece = left >= chunk.length ? chunk : chunk.subarray(0, left)
      left -= piece.length
      if (!socket.write(piece)) {
        socket.once('drain', send)
        return
      }
    }
    socket.end()
  }
}
