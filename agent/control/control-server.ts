import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { asCulvertError, CulvertError, reasonOf } from '../../common/errors.ts'
import type { Clock } from '../../common/platform/clock.ts'
import type { Log } from '../../common/platform/log.ts'
import { MAX_ROLES } from '../../common/wire/member-details.ts'
import { isName } from '../../common/wire/name.ts'
import { parseAddress, UNIX_PATH_BYTES } from '../config/address.ts'
import { forwardTargetFault } from '../config/forward-target.ts'
import { isPeerText, parsePeerService } from '../config/name.ts'
import { type InviteWish, MAX_INVITE_S } from '../join/joining.ts'
import { MAX_BENCH_MS } from '../service/bench-service.ts'
import { errorBody, httpStatusOf } from './control-error.ts'
import { listenOnControlSocket } from './control-socket.ts'
import type { ControlTarget, RemoveReply } from './control-target.ts'
import { feedStatus } from './status-feed.ts'
import { StreamDesk } from './stream-desk.ts'

/** Every body that a client may send is a short JSON object. */
const BODY_BYTES_LIMIT = 64 * 1024
const CONNECTIONS_LIMIT = 1024
const REQUEST_TIMEOUT_MS = 10_000
/** The token of the `Upgrade` header; `101` carries the stream's number in `Culvert-Stream`. */
const STREAM_PROTOCOL = 'culvert-stream'

export interface ControlServerOptions {
  readonly socketPath: string
  readonly target: ControlTarget
  readonly clock: Clock
  readonly log: Log
}

export interface ControlServer extends AsyncDisposable {
  /** Cuts every connection and removes the socket. */
  close(): Promise<void>
}

/**
 * The control socket: HTTP on a unix socket that only its owner may open.
 *
 *   GET    /v1/status                         the status
 *   GET    /v1/status/watch                   one status per line, at once and after every change
 *   GET    /v1/connect/PEER/SERVICE           Upgrade: culvert-stream; after 101 raw bytes, either way with half-close
 *   GET    /v1/streams/NUMBER                 waits until that stream is done and tells how it ended
 *   POST   /v1/ping      { peer }             one round trip
 *   POST   /v1/bench     { peer, direction, durationMs, overRelay }   what one direction carries
 *   POST   /v1/doctor    { peer? }            what is wrong, and what would be better, after some seconds
 *   POST   /v1/remove    { peer, devices? }   removes a member from the network
 *   POST   /v1/invites   { name?, roles, forS }   makes a join code
 *   POST   /v1/join      { code, name }       joins the network that it is from
 *   POST   /v1/reload                         reads the config again
 *   POST   /v1/forwards  { listen, to }       opens a forward; without `to` for socks5://
 *   DELETE /v1/forwards  { listen }           closes it
 *
 * Until 101 a client keeps its sending side open: closing it means that it is gone.
 */
export async function startControlServer(options: ControlServerOptions): Promise<ControlServer> {
  const { target, log, clock } = options
  const desk = new StreamDesk()
  const server = createServer({ maxHeaderSize: 8192, requestTimeout: REQUEST_TIMEOUT_MS, keepAliveTimeout: 5_000 })
  server.maxConnections = CONNECTIONS_LIMIT
  const sockets = new Set<Duplex>()
  server.on('connection', socket => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.on('request', (request, response) => {
    answer({ target, desk, clock }, request, response).catch((thrown: unknown) => refuse(response, thrown, log))
  })
  server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
    socket.on('error', () => undefined)
    openStream(target, desk, request, socket).catch((thrown: unknown) => refuseUpgrade(socket, thrown, log))
  })
  server.on('clientError', (_error, socket) => socket.destroy())
  await listenOnControlSocket(server, options.socketPath)
  server.on('error', thrown => log.error(`control socket: ${reasonOf(thrown)}`))
  const close = async () => {
    const closed = new Promise<void>(resolve => server.close(() => resolve()))
    desk.cutAll()
    for (const socket of sockets) socket.destroy()
    await closed
  }
  return { close, [Symbol.asyncDispose]: close }
}

/** A request for something that is not there, as opposed to a bad request for something that is. */
class NoSuchRoute extends CulvertError {}

function statusOf(error: CulvertError): number {
  return error instanceof NoSuchRoute ? 404 : httpStatusOf(error.code)
}

interface Offer {
  readonly target: ControlTarget
  readonly desk: StreamDesk
  readonly clock: Clock
}

async function answer(offer: Offer, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { target } = offer
  const path = request.url ?? ''
  switch (`${request.method} ${path}`) {
    case 'GET /v1/status':
      return reply(response, await target.freshStatus(goneSignal(response)))
    case 'GET /v1/status/watch':
      response.writeHead(200, { 'content-type': 'application/x-ndjson' })
      return feedStatus(target, response, offer.clock)
    case 'POST /v1/ping':
      return reply(response, await ping(target, await readBody(request), goneSignal(response)))
    case 'POST /v1/bench':
      return reply(response, await bench(target, await readBody(request), goneSignal(response)))
    case 'POST /v1/doctor':
      return reply(response, await doctor(target, await readBody(request), goneSignal(response)))
    case 'POST /v1/remove':
      return reply(response, await remove(target, await readBody(request)))
    case 'POST /v1/invites':
      return reply(response, await target.invite(inviteWishIn(await readBody(request))))
    case 'POST /v1/join':
      return reply(response, await join(target, await readBody(request), goneSignal(response)))
    case 'POST /v1/reload':
      await target.reload()
      return reply(response, { reloaded: true })
    case 'POST /v1/forwards':
      return reply(response, await addForward(target, await readBody(request)))
    case 'DELETE /v1/forwards':
      return reply(response, { removed: await removeForward(target, await readBody(request)) })
  }
  const number = /^\/v1\/streams\/(\d{1,15})$/.exec(path)?.[1]
  if (request.method === 'GET' && number !== undefined) return reply(response, await endOfStream(offer.desk, number))
  throw new NoSuchRoute('usage', `the agent has no ${request.method} ${path.slice(0, 100)}`)
}

async function ping(target: ControlTarget, body: unknown, signal: AbortSignal) {
  return target.ping(peerIn(body), signal)
}

async function bench(target: ControlTarget, body: unknown, signal: AbortSignal) {
  const direction = textIn(body, 'direction')
  if (direction !== 'send' && direction !== 'receive') throw new CulvertError('usage', 'direction: send or receive')
  const durationMs = valueIn(body, 'durationMs')
  if (typeof durationMs !== 'number' || !(durationMs >= 1 && durationMs <= MAX_BENCH_MS)) {
    throw new CulvertError('usage', `durationMs: a number from 1 to ${MAX_BENCH_MS}`)
  }
  return target.bench(peerIn(body), { direction, durationMs, overRelay: valueIn(body, 'overRelay') === true }, signal)
}

function doctor(target: ControlTarget, body: unknown, signal: AbortSignal) {
  return target.doctor(valueIn(body, 'peer') === undefined ? undefined : peerIn(body), signal)
}

function remove(target: ControlTarget, body: unknown): Promise<RemoveReply> {
  return target.remove(peerIn(body), valueIn(body, 'devices') === 'go' ? 'go' : 'stay')
}

function peerIn(body: unknown): string {
  const peer = textIn(body, 'peer')
  if (!isPeerText(peer)) throw new CulvertError('usage', `${JSON.stringify(peer.slice(0, 80))} is no peer's name or id`)
  return peer
}

async function addForward(target: ControlTarget, body: unknown) {
  const listen = textIn(body, 'listen')
  const to = optionalTextIn(body, 'to')
  const address = parseAddress(listen)
  if (!address) throw noListen(listen)
  const pathBytes = address.kind === 'unix' ? Buffer.byteLength(address.path) : 0
  if (pathBytes > UNIX_PATH_BYTES) {
    const most = `a unix socket's path has at most ${UNIX_PATH_BYTES} bytes`
    throw new CulvertError('usage', `${most}, and this one has ${pathBytes}; choose a shorter path`)
  }
  const fault = forwardTargetFault(address, to)
  if (fault) throw new CulvertError('usage', `${JSON.stringify(to?.slice(0, 80))} ${fault.problem}; ${fault.remedy}`)
  return target.addForward(listen, to)
}

async function removeForward(target: ControlTarget, body: unknown): Promise<boolean> {
  const listen = textIn(body, 'listen')
  if (!parseAddress(listen)) throw noListen(listen)
  return target.removeForward(listen)
}

function inviteWishIn(body: unknown): InviteWish {
  const name = optionalTextIn(body, 'name')
  const roles: unknown = valueIn(body, 'roles')
  const forS = valueIn(body, 'forS')
  const isRole = (role: unknown): role is string => typeof role === 'string' && isName(role)
  if (name !== undefined && !isName(name)) throw new CulvertError('usage', 'name: a name')
  if (!Array.isArray(roles) || roles.length > MAX_ROLES || !roles.every(isRole)) {
    throw new CulvertError('usage', `roles: a list of ${MAX_ROLES} names at most`)
  }
  if (typeof forS !== 'number' || !Number.isInteger(forS) || forS < 60 || forS > MAX_INVITE_S) {
    throw new CulvertError('usage', `forS: 60 to ${MAX_INVITE_S}`)
  }
  return { name, roles, forS }
}

async function join(target: ControlTarget, body: unknown, signal: AbortSignal) {
  const [code, name] = [textIn(body, 'code'), textIn(body, 'name')]
  if (!isName(name)) throw new CulvertError('usage', 'name: a name')
  return target.join(code, name, signal)
}

async function endOfStream(desk: StreamDesk, number: string) {
  const end = await desk.endOf(number)
  if (!end) throw new CulvertError('usage', `no stream has the number ${number}`)
  return end.ended ? { ended: true } : { ended: false, ...errorBody(end.error) }
}

const LISTEN_FORMS = 'write tcp://HOST:PORT, udp://HOST:PORT, unix:/PATH or socks5://HOST:PORT'

function noListen(listen: string): CulvertError {
  const shown = JSON.stringify(listen.slice(0, 80))
  return new CulvertError('usage', `${shown} is no address to listen on; ${LISTEN_FORMS}`)
}

async function openStream(
  target: ControlTarget,
  desk: StreamDesk,
  request: IncomingMessage,
  socket: Duplex,
): Promise<void> {
  const route = /^\/v1\/connect\/([^/]+)\/([^/]+)$/.exec(request.url ?? '')
  const to = route ? parsePeerService(`${route[1]}/${route[2]}`) : undefined
  if (request.method !== 'GET' || !to) {
    throw new NoSuchRoute('usage', 'a stream is opened by GET /v1/connect/PEER/SERVICE')
  }
  if (request.headers.upgrade?.toLowerCase() !== STREAM_PROTOCOL) {
    throw new CulvertError('usage', `a stream needs "Upgrade: ${STREAM_PROTOCOL}"`)
  }
  const gone = watchForEnd(socket)
  let stream: Duplex
  try {
    stream = await target.connect(to.peer, to.service, gone.signal)
  } finally {
    gone.stop()
  }
  const { id, start } = desk.join(socket, stream)
  if (socket.destroyed) return
  const head = [
    'HTTP/1.1 101 Switching Protocols',
    'Connection: Upgrade',
    `Upgrade: ${STREAM_PROTOCOL}`,
    `Culvert-Stream: ${id}`,
  ]
  socket.write(`${head.join('\r\n')}\r\n\r\n`)
  start()
}

/** A signal that aborts when a socket that nobody reads yet is closed. What it sends meanwhile stays in its buffer. */
function watchForEnd(socket: Duplex): { readonly signal: AbortSignal; stop(): void } {
  const controller = new AbortController()
  const abort = () => controller.abort(new CulvertError('aborted', 'the local program went away'))
  const look = () => {
    if (socket.readableLength === 0) abort()
  }
  // With nothing buffered, 'readable' tells of the end.
  socket.on('readable', look)
  socket.once('close', abort)
  const stop = () => {
    socket.off('readable', look)
    socket.off('close', abort)
  }
  return { signal: controller.signal, stop }
}

function goneSignal(response: ServerResponse): AbortSignal {
  const controller = new AbortController()
  response.once('close', () => controller.abort(new CulvertError('aborted', 'the local program went away')))
  return controller.signal
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const text = await readText(request)
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new CulvertError('usage', 'the body is no JSON', { cause })
  }
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  try {
    // Left intact when it is too long, so that the refusal can still be sent.
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      if (!Buffer.isBuffer(chunk)) continue
      length += chunk.length
      if (length > BODY_BYTES_LIMIT) throw new CulvertError('usage', `a body has at most ${BODY_BYTES_LIMIT} bytes`)
      chunks.push(chunk)
    }
  } catch (thrown) {
    throw asCulvertError(thrown, 'aborted', 'the local program went away')
  }
  return Buffer.concat(chunks).toString('utf8')
}

function optionalTextIn(body: unknown, key: string): string | undefined {
  return valueIn(body, key) === undefined ? undefined : textIn(body, key)
}

function valueIn(body: unknown, key: string): unknown {
  return typeof body === 'object' && body !== null && Object.hasOwn(body, key) ? Reflect.get(body, key) : undefined
}

function textIn(body: unknown, key: string): string {
  const value = valueIn(body, key)
  if (typeof value !== 'string') throw new CulvertError('usage', `the body needs "${key}" as a text`)
  return value
}

function reply(response: ServerResponse, body: unknown, status = 200): void {
  if (response.destroyed) return
  const text = `${JSON.stringify(body)}\n`
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
  response.end(text)
}

function refuse(response: ServerResponse, thrown: unknown, log: Log): void {
  const error = asOwnError(thrown, log)
  if (response.headersSent) response.destroy()
  // What is left of a body that was too long is not read, so the connection cannot be used again.
  else reply(response.setHeader('connection', 'close'), errorBody(error), statusOf(error))
}

function refuseUpgrade(socket: Duplex, thrown: unknown, log: Log): void {
  const error = asOwnError(thrown, log)
  const body = `${JSON.stringify(errorBody(error))}\n`
  const head = [
    `HTTP/1.1 ${statusOf(error)} Refused`,
    'Connection: close',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ]
  if (socket.destroyed) return
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}

function asOwnError(thrown: unknown, log: Log): CulvertError {
  if (!(thrown instanceof CulvertError)) log.error(`control socket: ${reasonOf(thrown)}`)
  return asCulvertError(thrown, 'internal', 'the agent failed')
}
