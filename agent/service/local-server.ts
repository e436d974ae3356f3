import { createServer, type Server, type Socket } from 'node:net'
import { asCulvertError, CulvertError, systemCodeOf } from '../../common/errors.ts'
import { resetSocket } from '../../common/platform/tcp.ts'
import { listenOnSocketFile } from '../../common/platform/unix-socket.ts'
import { type Address, formatAddress } from '../config/address.ts'
import type { Listening } from './listening.ts'

/** Local connections that wait for a path or use one, per forward. */
const MAX_CONNECTIONS = 1024

/**
 * Accepts connections of local programs, paused; `gone` aborts when one is closed. Rejects with `port-in-use` or `io`.
 */
export async function serveLocally(
  listen: Address,
  onConnection: (socket: Socket, gone: AbortSignal) => void,
): Promise<Listening> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, socket => {
    socket.on('error', () => undefined)
    if (sockets.size >= MAX_CONNECTIONS) {
      resetSocket(socket)
      return
    }
    sockets.add(socket)
    const gone = new AbortController()
    socket.once('close', () => {
      sockets.delete(socket)
      gone.abort()
    })
    onConnection(socket, gone.signal)
  })
  try {
    if (listen.kind === 'unix') await listenOnSocketFile(server, listen.path)
    else await listenOnPort(server, listen.host, listen.port)
  } catch (cause) {
    const where = `cannot listen on ${formatAddress(listen)}`
    if (systemCodeOf(cause) === 'EACCES' && listen.kind !== 'unix') {
      const remedy = 'take a port from 1024 on, or give the service CAP_NET_BIND_SERVICE (systemd/README.md)'
      throw new CulvertError('io', `${where}: ports below 1024 need a right (EACCES); ${remedy}`, { cause })
    }
    throw asCulvertError(cause, systemCodeOf(cause) === 'EADDRINUSE' ? 'port-in-use' : 'io', where)
  }
  server.on('error', () => undefined)
  return {
    close() {
      for (const socket of sockets) socket.destroy()
      return new Promise<void>(done => server.close(() => done()))
    },
  }
}

function listenOnPort(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
