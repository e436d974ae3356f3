import { createSocket, type Socket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { CulvertError, reasonOf, systemCodeOf } from '../errors.ts'
import type { Endpoint } from '../wire/endpoint.ts'

/** What may wait for the system to take it, as when the other program reads slowly; libuv itself sets no limit. */
const MAX_UNSENT_BYTES = 256 * 1024

/** The system gives what it allows, twice what it gives unasked on Linux: a busy turn of ours then loses less. */
const RECEIVE_BUFFER_BYTES = 1024 * 1024

interface LocalUdp extends AsyncDisposable {
  close(): Promise<void>
}

/** A bound UDP socket for programs of this machine. */
export interface UdpListener extends LocalUdp {
  readonly local: Endpoint
  /** False when the datagram was given up. */
  send(bytes: Uint8Array, to: Endpoint): boolean
  /** Sets the one receiver, which may keep the bytes. It must not throw. */
  receive(handler: (bytes: Buffer, from: Endpoint) => void): void
}

/** A UDP socket connected to one program, from which alone it hears. */
export interface UdpClient extends LocalUdp {
  send(bytes: Uint8Array): boolean
  receive(handler: (bytes: Buffer) => void): void
  /** Called when nothing listens there (ICMP port unreachable), or the socket fails otherwise. */
  onError(handler: (cause: Error) => void): void
}

/** Binds a UDP socket; a port in use is the error `port-in-use`. Port 0 is any free one. */
export async function listenUdp(host: string, port: number): Promise<UdpListener> {
  const { socket, address } = await open(host)
  try {
    await settled(socket, done => socket.bind({ address, port, exclusive: true }, done))
  } catch (cause) {
    socket.close()
    const code = systemCodeOf(cause) === 'EADDRINUSE' ? 'port-in-use' : 'io'
    throw new CulvertError(code, `cannot listen on UDP ${host}:${port}: ${reasonOf(cause)}`, { cause })
  }
  // An error of one datagram says nothing about the others.
  socket.on('error', () => undefined)
  const bound = socket.address()
  return {
    local: { address: bound.address, port: bound.port },
    send(bytes, to) {
      // Node throws at port 0, which who asks for no answer sends from (RFC 768).
      if (isClosed(socket) || to.port === 0 || socket.getSendQueueSize() > MAX_UNSENT_BYTES) return false
      socket.send(bytes, to.port, to.address, () => undefined)
      return true
    },
    receive(handler) {
      socket.removeAllListeners('message')
      socket.on('message', (bytes, from) => handler(bytes, { address: from.address, port: from.port }))
    },
    ...closing(socket),
  }
}

/** Connects a UDP socket to a host's port. Rejects with `io` when the host has no address. */
export async function connectUdp(host: string, port: number): Promise<UdpClient> {
  const { socket, address } = await open(host)
  try {
    await settled(socket, done => socket.connect(port, address, done))
  } catch (cause) {
    socket.close()
    throw new CulvertError('io', `no UDP to ${host}:${port}: ${reasonOf(cause)}`, { cause })
  }
  let failed: (cause: Error) => void = () => undefined
  socket.on('error', cause => failed(cause))
  return {
    send(bytes) {
      if (isClosed(socket) || socket.getSendQueueSize() > MAX_UNSENT_BYTES) return false
      socket.send(bytes, cause => cause && systemCodeOf(cause) === 'ECONNREFUSED' && failed(cause))
      return true
    },
    receive(handler) {
      socket.removeAllListeners('message')
      socket.on('message', bytes => handler(bytes))
    },
    onError(handler) {
      failed = handler
    },
    ...closing(socket),
  }
}

async function open(host: string): Promise<{ readonly socket: Socket; readonly address: string }> {
  try {
    const { address, family } = await lookup(host)
    const type = family === 6 ? 'udp6' : 'udp4'
    return {
      socket: createSocket({ type, ipv6Only: family === 6, recvBufferSize: RECEIVE_BUFFER_BYTES }),
      address,
    }
  } catch (cause) {
    throw new CulvertError('io', `${host} has no address: ${reasonOf(cause)}`, { cause })
  }
}

function settled(socket: Socket, start: (done: () => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    start(() => {
      socket.off('error', reject)
      resolve()
    })
  })
}

const closed = new WeakSet<Socket>()

function isClosed(socket: Socket): boolean {
  return closed.has(socket)
}

function closing(socket: Socket): LocalUdp {
  const close = (): Promise<void> => {
    if (closed.has(socket)) return Promise.resolve()
    closed.add(socket)
    return new Promise(done => socket.close(() => done()))
  }
  return { close, [Symbol.asyncDispose]: close }
}
