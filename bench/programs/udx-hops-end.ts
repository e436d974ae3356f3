import { connect, createServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { serveCommands } from './commands.ts'
import { udxStreams } from './udx-streams.ts'

// The baseline of a `udx` path with what the agents have besides, a local TCP connection at either end: `near|far PORT
// OTHER_HOST OTHER_PORT LOCAL_PORT`. The near end listens there, and the far one connects to it.

/** Each connection takes one, made before it is needed. */
const STREAMS = 48

const [side = '', port, host = '', otherPort, localPort] = process.argv.slice(2)
const stream = udxStreams({ side, port: Number(port), host, otherPort: Number(otherPort) })

function join(socket: Socket, sealed: Duplex): void {
  socket.on('error', () => undefined)
  socket.pipe(sealed).pipe(socket)
  socket.on('close', () => sealed.destroy())
  sealed.on('close', () => socket.destroy())
}

serveCommands({
  /** The far end first: what comes for a stream that is not there yet is lost until it is sent again. */
  async open() {
    const streams = Array.from({ length: STREAMS }, (_, i) => stream(2 * i + 1))
    if (side === 'far') {
      const target = { host: '127.0.0.1', port: Number(localPort), noDelay: true }
      for (const one of streams) one.once('readable', () => join(connect(target), one))
      return
    }
    await Promise.all(streams.map(one => new Promise(resolve => one.once('secureConnect', resolve))))
    const server = createServer({ noDelay: true }, socket => {
      const next = streams.shift()
      if (next) join(socket, next)
      else socket.destroy()
    })
    await new Promise<void>(resolve => server.listen(Number(localPort), '127.0.0.1', resolve))
  },
})
