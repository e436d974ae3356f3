import { connect, createServer, type Server, type Socket } from 'node:net'
import { CulvertError, reasonOf, systemCodeOf } from '../errors.ts'
import { type Endpoint, formatEndpoint } from '../wire/endpoint.ts'

export interface DialOptions {
  readonly signal?: AbortSignal
  /** Local port to connect from; 0 or absent = any. */
  readonly localPort?: number
  /** Absent = as the system chooses. */
  readonly localAddress?: string
  readonly allowHalfOpen?: boolean
}

/** Opens a TCP connection; rejects with `peer-unreachable` when it fails and `aborted` when the signal aborts. */
export function dialTcp(to: Endpoint, options: DialOptions = {}): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const { signal } = options
    if (signal?.aborted) {
      reject(new CulvertError('aborted', `connecting to ${formatEndpoint(to)} was aborted`))
      return
    }
    const socket = connect({
      host: to.address,
      port: to.port,
      noDelay: true,
      allowHalfOpen: options.allowHalfOpen ?? true,
      ...(options.localPort ? { localPort: options.localPort } : {}),
      ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
    })
    const settle = () => {
      socket.off('error', fail)
      socket.off('connect', succeed)
      signal?.removeEventListener('abort', abort)
    }
    const fail = (cause: Error) => {
      settle()
      socket.on('error', () => undefined)
      socket.destroy()
      const message = `no TCP connection to ${formatEndpoint(to)}: ${reasonOf(cause)}`
      reject(new CulvertError('peer-unreachable', message, { cause }))
    }
    const succeed = () => {
      settle()
      resolve(socket)
    }
    const abort = () => {
      settle()
      socket.on('error', () => undefined)
      socket.destroy()
      reject(new CulvertError('aborted', `connecting to ${formatEndpoint(to)} was aborted`, { cause: signal?.reason }))
    }
    socket.once('error', fail)
    socket.once('connect', succeed)
    signal?.addEventListener('abort', abort, { once: true })
  })
}

export interface Listener extends AsyncDisposable {
  readonly local: Endpoint
  readonly server: Server
  /** Stops accepting; connections that are open stay. */
  close(): Promise<void>
}

export interface ListenOptions {
  /** Absent = every address, IPv6 and IPv4. */
  readonly address?: string
  readonly port: number
  readonly backlog?: number
  readonly onConnection: (socket: Socket) => void
}

/** Listens for TCP; a port in use is the error `port-in-use`. Sockets arrive half-open capable and without Nagle. */
export function listenTcp(options: ListenOptions): Promise<Listener> {
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: false }, socket => {
    socket.on('error', () => undefined)
    options.onConnection(socket)
  })
  return new Promise((resolve, reject) => {
    server.once('error', cause => {
      const inUse = systemCodeOf(cause) === 'EADDRINUSE'
      const where = `TCP ${options.address ?? '*'}:${options.port}`
      reject(new CulvertError(inUse ? 'port-in-use' : 'io', `cannot listen on ${where}: ${reasonOf(cause)}`, { cause }))
    })
    const where = options.address === undefined ? {} : { host: options.address }
    server.listen({ ...where, port: options.port, backlog: options.backlog ?? 511 }, () => {
      server.removeAllListeners('error')
      server.on('error', () => undefined)
      const bound = server.address()
      const local = bound !== null && typeof bound === 'object' ? bound : { address: '', port: options.port }
      // Node calls back only when the last connection has ended; the port is free at once.
      const close = (): Promise<void> => {
        server.close()
        return Promise.resolve()
      }
      resolve({
        local: { address: local.address, port: local.port },
        server,
        close,
        [Symbol.asyncDispose]: close,
      })
    })
  })
}

/** Ends a connection so that the other end learns of the fault: by RST where it is TCP; a unix socket has none. */
export function resetSocket(socket: Socket): void {
  const isTcp = socket.remotePort !== undefined || socket.connecting
  // While its end is on the way out, libuv refuses to reset it (EINVAL), and Node then never closes the descriptor.
  const ending = socket.writableEnded && !socket.writableFinished
  if (!isTcp || ending || socket.destroyed) {
    socket.destroy()
    return
  }
  try {
    socket.resetAndDestroy()
  } catch {
    // A handle that cannot be reset; Node tells so by throwing.
    socket.destroy()
  }
}
