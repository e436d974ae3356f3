import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { CulvertError, reasonOf, systemCodeOf } from '../common/errors.ts'
import type { Clock } from '../common/platform/clock.ts'
import type { Log } from '../common/platform/log.ts'
import { AddressCounts, addressKey } from '../common/wire/address-key.ts'
import { type Endpoint, formatEndpoint, plainAddress } from '../common/wire/endpoint.ts'
import { MAX_RELAY_MESSAGE_BYTES } from '../common/wire/relay-message.ts'
import { retryWhileInUse } from './bind-retry.ts'
import type { LineEnds } from './control-line.ts'
import type { Counters } from './counters.ts'
import { KeyedBuckets } from './quota.ts'
import type { RelayTiming } from './timing.ts'
import type { TlsMaterial } from './tls-reload.ts'

export interface HttpFrontParts {
  readonly clock: Clock
  readonly log: Log
  readonly counters: Counters
  readonly timing: RelayTiming
  readonly tls: TlsMaterial | undefined
  limits(): { readonly connections: number; readonly connectionsPerAddress: number }
  healthy(): boolean
  onLine(socket: WebSocket, ends: LineEnds): void
  /** False for a ticket that is not good; the front then answers and closes. */
  onPipe(ticket: string, socket: Socket, early: Buffer): boolean
}

/** The one port for agents: control lines, pipes and a health check; nothing else is answered with more than a line. */
export interface HttpFront {
  readonly local: Endpoint
  /** Connections that are open now, of every kind. */
  connections(): number
  useTls(tls: TlsMaterial): void
  /** Stops accepting. */
  close(): void
  /** Cuts what is still open. */
  cut(): void
}

/** Node's default of 511 overflowed when 10,000 agents came back at once. */
const BACKLOG = 4096
const MAX_HEADER_BYTES = 8 * 1024
const AGENT_PATH = '/v1/agent'
const PIPE_PATH = /^\/v1\/pipe\/([A-Za-z0-9_-]{22})$/
/** A ticket is 128 random bits, so this is not about guessing but about the work that wrong ones make. */
const WRONG_TICKET_LIMITS = { perSecond: 1, burst: 20 }
const WEB_SOCKET = {
  noServer: true,
  clientTracking: false,
  perMessageDeflate: false,
  maxPayload: MAX_RELAY_MESSAGE_BYTES,
  maxFragments: 64,
  closeTimeout: 3_000,
}

/** Binds and serves; `port-in-use` when the port does not come free within the retry time. */
export async function openHttpFront(listen: Endpoint, parts: HttpFrontParts): Promise<HttpFront> {
  const { limits, counters, timing } = parts
  const options = {
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: timing.headersMs,
    requestTimeout: timing.headersMs,
    connectionsCheckingInterval: Math.max(50, Math.min(2_000, timing.headersMs / 2)),
    keepAliveTimeout: 5_000,
    // TCP keep-alive finds pipes whose peer is gone; lines speak more often than that by themselves.
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
    noDelay: true,
  }
  const server: Server = parts.tls
    ? createHttpsServer({
        ...options,
        cert: parts.tls.cert,
        key: parts.tls.key,
        allowHalfOpen: true,
        handshakeTimeout: timing.headersMs,
        minVersion: 'TLSv1.2',
      })
    : createHttpServer(options)
  const perAddress = new AddressCounts()
  const open = new Set<Socket>()
  const wrongTickets = new KeyedBuckets(() => WRONG_TICKET_LIMITS, 10_000)
  const webSockets = new WebSocketServer(WEB_SOCKET)

  server.on('connection', (socket: Socket) => {
    const key = addressKey(socket.remoteAddress ?? '')
    socket.on('error', () => undefined)
    const full = open.size >= limits().connections
    if (full || !perAddress.add(key, limits().connectionsPerAddress)) {
      counters.refuse(full ? 'connections' : 'connections-per-address')
      socket.destroy()
      return
    }
    open.add(socket)
    socket.once('close', () => {
      open.delete(socket)
      perAddress.remove(key)
    })
  })
  server.on('request', (request, response) => answer(request, response, parts.healthy()))
  server.on('clientError', (_cause, socket: Duplex) => refuse(socket, '400 Bad Request', 'bad request'))
  server.on('upgrade', (request, stream: Duplex, head) => {
    stream.on('error', () => undefined)
    const socket = request.socket
    const url = request.url ?? ''
    const upgrade = (request.headers.upgrade ?? '').toLowerCase()
    if (request.method !== 'GET' || socket !== stream) return refuse(stream, '404 Not Found', 'not found')
    if (url === AGENT_PATH && upgrade === 'websocket') {
      const ends = endsOf(socket)
      webSockets.handleUpgrade(request, socket, head, line => parts.onLine(line, ends))
      return
    }
    const ticket = PIPE_PATH.exec(url)?.[1]
    if (ticket === undefined || upgrade !== 'culvert-pipe') return refuse(stream, '404 Not Found', 'not found')
    if (parts.onPipe(ticket, socket, head)) return
    const allowed = wrongTickets.take(addressKey(socket.remoteAddress ?? ''), 1, parts.clock.now())
    counters.refuse(allowed ? 'ticket-unknown' : 'ticket-rate')
    if (allowed) refuse(stream, '404 Not Found', 'no such ticket')
    else socket.destroy()
  })

  const local = await bind(server, listen, parts)
  server.on('error', cause => parts.log.error('HTTP server failed', { why: cause.message }))
  return {
    local,
    connections: () => open.size,
    useTls: ({ cert, key }) => {
      if (!('setSecureContext' in server) || typeof server.setSecureContext !== 'function') return
      server.setSecureContext({ cert, key })
    },
    close: () => {
      server.close()
    },
    cut: () => {
      for (const socket of open) socket.destroy()
    },
  }
}

function answer(request: IncomingMessage, response: ServerResponse, healthy: boolean): void {
  const known = request.method === 'GET' || request.method === 'HEAD'
  response.shouldKeepAlive = false
  if (known && request.url === '/healthz') plain(response, healthy ? 200 : 503, healthy ? 'ok' : 'going away')
  else if (known && request.url === AGENT_PATH) plain(response, 426, 'agents connect here by WebSocket')
  else plain(response, 404, 'not found')
}

function plain(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain', 'cache-control': 'no-store' }).end(`${text}\n`)
}

function refuse(stream: Duplex, status: string, text: string): void {
  if (!stream.writable) {
    stream.destroy()
    return
  }
  const body = `${text}\n`
  stream.end(
    `HTTP/1.1 ${status}\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    () => stream.destroy(),
  )
}

function endsOf(socket: Socket): LineEnds {
  return {
    remote: { address: plainAddress(socket.remoteAddress ?? '0.0.0.0'), port: socket.remotePort ?? 0 },
    local: { address: plainAddress(socket.localAddress ?? '0.0.0.0'), port: socket.localPort ?? 0 },
  }
}

const NO_IPV6: ReadonlySet<string | undefined> = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL'])

function bind(server: Server, listen: Endpoint, parts: HttpFrontParts): Promise<Endpoint> {
  return retryWhileInUse(parts.clock, parts.timing.bindRetryMs, () => bindOnce(server, listen))
}

async function bindOnce(server: Server, where: Endpoint): Promise<Endpoint> {
  try {
    return await listenOnce(server, where)
  } catch (cause) {
    const code = systemCodeOf(cause)
    if (where.address === '::' && NO_IPV6.has(code)) return bindOnce(server, { ...where, address: '0.0.0.0' })
    const inUse = code === 'EADDRINUSE'
    const message = `cannot listen on TCP ${formatEndpoint(where)}: ${reasonOf(cause)}; ${remedyFor(code)}`
    throw new CulvertError(inUse ? 'port-in-use' : 'io', message, { cause })
  }
}

function remedyFor(code: string | undefined): string {
  if (code === 'EADDRINUSE') return 'stop the other program or choose another port in listen'
  if (code === 'EACCES') return 'run it as root or as the service, or choose a port from 1024 on in listen'
  return 'correct listen in the config'
}

function listenOnce(server: Server, where: Endpoint): Promise<Endpoint> {
  return new Promise((resolve, reject) => {
    const fail = (cause: Error) => {
      server.off('listening', succeed)
      reject(cause)
    }
    const succeed = () => {
      server.off('error', fail)
      const bound = server.address()
      const named = bound !== null && typeof bound === 'object'
      resolve(named ? { address: bound.address, port: bound.port } : where)
    }
    server.once('error', fail)
    server.once('listening', succeed)
    server.listen({ host: where.address, port: where.port, backlog: BACKLOG })
  })
}
