import type { Socket } from 'node:net'
import { CulvertError, reasonOf, systemCodeOf } from '../../common/errors.ts'
import { type Clock, deadline } from '../../common/platform/clock.ts'
import type { Random } from '../../common/platform/random.ts'
import { dialTcp } from '../../common/platform/tcp.ts'
import { type Endpoint, plainAddress } from '../../common/wire/endpoint.ts'
import {
  decodeStun,
  encodeStun,
  MAX_STUN_BYTES,
  STUN_HEADER_BYTES,
  STUN_TRANSACTION_BYTES,
} from '../../common/wire/stun.ts'
import { outcomeOf } from './stun-client.ts'

/** What one STUN question over TCP gave. */
export type TcpStunOutcome =
  | { readonly kind: 'answered'; readonly outside: Endpoint; readonly local: Endpoint; readonly connection: TcpStun }
  /** The server's host answered, but not with an address: TCP passes, so nothing is said about the NAT. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** Our own port is taken. */
  | { readonly kind: 'port-in-use' }
  | { readonly kind: 'silent' }
  | { readonly kind: 'aborted' }

/** The open connection: while it lives, so does the NAT's mapping of its local port. */
export interface TcpStun extends Disposable {
  close(): void
}

export interface TcpStunOptions {
  readonly clock: Clock
  readonly random: Random
  /** The port to connect from; several connections may share one as long as nothing listens on it. */
  readonly localPort: number
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

/** Asks a STUN server over TCP which outside address our local port has. The caller closes the connection. */
export async function tcpStunRequest(server: Endpoint, options: TcpStunOptions): Promise<TcpStunOutcome> {
  const limit = deadline(options.clock, options.timeoutMs, options.signal)
  try {
    const socket = await dialTcp(server, { signal: limit.signal, localPort: options.localPort })
    return await ask(socket, server, options.random, limit.signal, options.signal)
  } catch (thrown) {
    return failureOf(thrown, options.signal)
  } finally {
    limit.done()
  }
}

function failureOf(thrown: unknown, signal: AbortSignal | undefined): TcpStunOutcome {
  if (signal?.aborted) return { kind: 'aborted' }
  if (thrown instanceof CulvertError && thrown.code === 'aborted') return { kind: 'silent' }
  const cause = thrown instanceof Error ? thrown.cause : undefined
  const code = systemCodeOf(cause)
  if (code === 'EADDRINUSE' || code === 'EADDRNOTAVAIL') return { kind: 'port-in-use' }
  if (code === 'ECONNREFUSED' || code === 'ECONNRESET') return { kind: 'refused', reason: reasonOf(thrown) }
  return { kind: 'silent' }
}

function ask(
  socket: Socket,
  server: Endpoint,
  random: Random,
  limit: AbortSignal,
  signal: AbortSignal | undefined,
): Promise<TcpStunOutcome> {
  const transactionId = random.bytes(STUN_TRANSACTION_BYTES)
  return new Promise(resolve => {
    let received = Buffer.alloc(0)
    const settle = (outcome: TcpStunOutcome) => {
      limit.removeEventListener('abort', abort)
      socket.removeAllListeners('data').removeAllListeners('end').removeAllListeners('close')
      if (outcome.kind !== 'answered') socket.destroy()
      resolve(outcome)
    }
    const abort = () => settle(signal?.aborted ? { kind: 'aborted' } : { kind: 'silent' })
    const refuse = (reason: string) => settle({ kind: 'refused', reason })
    socket.on('error', () => undefined)
    socket.on('end', () => refuse('the server closed the connection'))
    socket.on('close', () => refuse('the connection broke'))
    socket.on('data', chunk => {
      received = Buffer.concat([received, chunk])
      if (received.length < STUN_HEADER_BYTES) return
      const length = STUN_HEADER_BYTES + received.readUInt16BE(2)
      if (length > MAX_STUN_BYTES) return refuse('the answer is no STUN message')
      if (received.length < length) return
      const message = decodeStun(received.subarray(0, length))
      if (!message || !Buffer.from(transactionId).equals(message.transactionId)) {
        return refuse('the answer belongs to no question of ours')
      }
      const outcome = outcomeOf(message, server)
      if (outcome?.kind !== 'answered') return refuse('the server gave no address')
      const local = { address: plainAddress(socket.localAddress ?? ''), port: socket.localPort ?? 0 }
      settle({ kind: 'answered', outside: outcome.outside, local, connection: holdOpen(socket) })
    })
    limit.addEventListener('abort', abort, { once: true })
    if (limit.aborted) return abort()
    socket.write(encodeStun({ class: 'request', method: 'binding', transactionId }))
  })
}

function holdOpen(socket: Socket): TcpStun {
  const close = () => {
    socket.destroy()
  }
  // Whatever a server sends after its answer is thrown away unread; its end is ours.
  socket.on('end', close)
  socket.resume()
  socket.unref()
  return { close, [Symbol.dispose]: close }
}
