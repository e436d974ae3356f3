import { createSocket } from 'node:dgram'
import { CulvertError, reasonOf, systemCodeOf } from '../errors.ts'
import type { Endpoint } from '../wire/endpoint.ts'

/** One bound UDP socket. Errors of single datagrams (unreachable, refused) are not reported: UDP promises nothing. */
export interface UdpSocket extends AsyncDisposable {
  readonly local: Endpoint
  send(bytes: Uint8Array, to: Endpoint): void
  /** Sets the one receiver. It must not throw. */
  receive(handler: (bytes: Buffer, from: Endpoint) => void): void
  close(): Promise<void>
}

/** One that can send packets which do not get far. */
export interface BoundUdpSocket extends UdpSocket {
  /** Sends a datagram that so many hops may pass on; resolves when it has left, so that no other one is meant. */
  sendNear(bytes: Uint8Array, to: Endpoint, hops: number): Promise<void>
}

export interface UdpOptions {
  readonly family: 4 | 6
  readonly address?: string
  /** 0 = any free port. */
  readonly port?: number
  readonly reuseAddress?: boolean
}

/** RFC 1700. */
const DEFAULT_HOPS = 64

/** Binds a UDP socket; a port in use is the error `port-in-use`. */
export function openUdpSocket(options: UdpOptions): Promise<BoundUdpSocket> {
  const socket = createSocket({
    type: options.family === 4 ? 'udp4' : 'udp6',
    ipv6Only: options.family === 6,
    reuseAddr: options.reuseAddress ?? false,
  })
  return new Promise((resolve, reject) => {
    socket.once('error', cause => {
      const inUse = systemCodeOf(cause) === 'EADDRINUSE'
      const where = `UDP ${options.address ?? '*'}:${options.port ?? 0}`
      reject(new CulvertError(inUse ? 'port-in-use' : 'io', `cannot bind ${where}: ${reasonOf(cause)}`, { cause }))
    })
    const bindOptions = { port: options.port ?? 0, exclusive: true }
    socket.bind(options.address === undefined ? bindOptions : { ...bindOptions, address: options.address }, () => {
      socket.removeAllListeners('error')
      let closed = false
      // An ICMP error for an earlier datagram surfaces here; nothing is to be done about it.
      socket.on('error', () => undefined)
      const close = (): Promise<void> => {
        if (closed) return Promise.resolve()
        closed = true
        return new Promise(done => socket.close(() => done()))
      }
      const { address, port } = socket.address()
      resolve({
        local: { address, port },
        send(bytes, to) {
          // Node throws at port 0, which who asks for no answer sends from (RFC 768).
          if (!closed && to.port !== 0) socket.send(bytes, to.port, to.address, () => undefined)
        },
        sendNear: (bytes, to, hops) =>
          new Promise(sent => {
            if (closed) return sent()
            socket.setTTL(hops)
            socket.send(bytes, to.port, to.address, () => {
              if (!closed) socket.setTTL(DEFAULT_HOPS)
              sent()
            })
          }),
        receive(handler) {
          socket.removeAllListeners('message')
          socket.on('message', (bytes, from) => {
            try {
              handler(bytes, { address: from.address, port: from.port })
            } catch {
              // It must not throw; a packet of a stranger would end the process.
            }
          })
        },
        close,
        [Symbol.asyncDispose]: close,
      })
    })
  })
}
