import type { Socket } from 'node:net'
import { type TLSSocket, connect as tlsConnect } from 'node:tls'
import { CulvertError, reasonOf } from '../../common/errors.ts'
import { type Clock, deadline } from '../../common/platform/clock.ts'
import { peerIdOfPublicKey } from '../../common/platform/ed25519.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { certificateTrouble } from './certificate-trouble.ts'
import { type KnownHost, openRelaySocket } from './relay-socket.ts'

/** A relay that does not take the connection within this is as good as down. */
const RELAY_DIAL_MS = 8_000

/** A relay as the config names it. With `id`, that key is its proof; without, a public certificate authority is. */
export interface RelayAddress {
  readonly url: URL
  readonly id: PeerId | undefined
  /** HTTP proxy to go through, by CONNECT. */
  readonly proxy: URL | undefined
  /** The host that is dialled: the relay's, or the proxy's. */
  readonly known: KnownHost
}

export function relayAddress(url: URL, id: PeerId | undefined, proxy: URL | undefined): RelayAddress {
  return { url, id, proxy, known: { name: hostOf(proxy ?? url) } }
}

/** Opens the connection on which HTTP to the relay is spoken: TCP, or TLS when the URL says so. */
export async function dialRelay(relay: RelayAddress, clock: Clock, signal: AbortSignal): Promise<Socket> {
  const limit = deadline(clock, RELAY_DIAL_MS, signal)
  try {
    const socket = await openRelayTcp(relay, clock, limit.signal)
    return isSecure(relay.url) ? await startRelayTls(relay, socket, clock, limit.signal) : socket
  } catch (thrown) {
    if (signal.aborted) throw new CulvertError('aborted', `connecting to ${relay.url.host} was aborted`)
    const late = limit.signal.aborted ? `no answer in ${RELAY_DIAL_MS} ms` : reasonOf(thrown)
    if (thrown instanceof CulvertError && thrown.code !== 'aborted') throw thrown
    throw new CulvertError('relay-unreachable', `relay ${relay.url.host}: ${late}`, { cause: thrown })
  } finally {
    limit.done()
  }
}

export function isSecure(url: URL): boolean {
  return url.protocol === 'https:' || url.protocol === 'wss:'
}

/** The first half of `dialRelay`, for who wants to know where it fails. */
export async function openRelayTcp(relay: RelayAddress, clock: Clock, signal: AbortSignal): Promise<Socket> {
  const secure = isSecure(relay.url)
  const port = Number(relay.url.port || (secure ? 443 : 80))
  const host = hostOf(relay.url)
  if (!relay.proxy) return openRelaySocket(relay.known, port, clock, signal)
  const socket = await openRelaySocket(relay.known, Number(relay.proxy.port || 80), clock, signal)
  const authority = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  const credentials = relay.proxy.username
    ? `Proxy-Authorization: Basic ${Buffer.from(decodeURIComponent(`${relay.proxy.username}:${relay.proxy.password}`)).toString('base64')}\r\n`
    : ''
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${credentials}\r\n`)
  const status = await readHttpHead(socket, signal)
  if (status !== 200) {
    socket.destroy()
    throw new CulvertError('relay-unreachable', `the proxy ${relay.proxy.host} answered ${status} for ${authority}`)
  }
  return socket
}

/** The second half, over `https`. */
export async function startRelayTls(
  relay: RelayAddress,
  socket: Socket,
  clock: Pick<Clock, 'wallNow'>,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const host = hostOf(relay.url)
  const stream = tlsConnect({
    socket,
    ...(/^[\d.]+$|:/.test(host) ? { host } : { servername: host }),
    ALPNProtocols: ['http/1.1'],
    // Looked at below: with an id the key is compared, and a relay needs no certificate from an authority.
    rejectUnauthorized: false,
  })
  await secured(stream, signal)
  const certificate = stream.getPeerX509Certificate()
  const pinned = relay.id !== undefined && certificate && peerIdOfPublicKey(certificate.publicKey) === relay.id
  if (!stream.authorized && !pinned) {
    stream.destroy()
    // Declared as an error, and the code of one.
    const code = String(stream.authorizationError)
    const trouble = { code, certificate, host, id: relay.id !== undefined, now: new Date(clock.wallNow()) }
    const kind = trouble.id ? 'relay-impersonated' : 'relay-unreachable'
    throw new CulvertError(kind, `relay ${relay.url.host}: ${certificateTrouble(trouble)}`)
  }
  return stream
}

function secured(socket: TLSSocket, signal: AbortSignal): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const done = () => {
      socket.off('error', fail)
      socket.off('close', close)
      signal.removeEventListener('abort', abort)
      socket.on('error', () => undefined)
    }
    const fail = (cause: Error) => {
      done()
      socket.destroy()
      reject(cause)
    }
    const close = () => fail(new CulvertError('relay-unreachable', 'the connection was closed'))
    const abort = () => fail(new CulvertError('aborted', 'aborted', { cause: signal.reason }))
    socket.once('error', fail)
    socket.once('close', close)
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
    socket.once('secureConnect', () => {
      done()
      resolve(socket)
    })
  })
}

function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '')
}

const MAX_HEAD_BYTES = 8 * 1024

/** Reads one HTTP response head and gives its status; what came after it stays in the socket, unread. */
export async function readHttpHead(socket: Socket, signal: AbortSignal): Promise<number> {
  return (await readHttpAnswer(socket, signal)).status
}

/** As `readHttpHead`, with the time that the server gave, in ms since 1970. */
export function readHttpAnswer(
  socket: Socket,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly dateMs: number | undefined }> {
  return new Promise((resolve, reject) => {
    let head = Buffer.alloc(0)
    const done = () => {
      socket.off('readable', look)
      socket.off('close', close)
      signal.removeEventListener('abort', abort)
    }
    const fail = (error: CulvertError) => {
      done()
      socket.destroy()
      reject(error)
    }
    const close = () => fail(new CulvertError('relay-unreachable', 'the connection was closed before an answer came'))
    const abort = () => fail(new CulvertError('aborted', 'aborted', { cause: signal.reason }))
    const look = () => {
      for (let chunk: Buffer | null = socket.read(); chunk !== null; chunk = socket.read()) {
        head = Buffer.concat([head, chunk])
      }
      const end = head.indexOf('\r\n\r\n')
      if (end < 0) {
        if (head.length > MAX_HEAD_BYTES) fail(new CulvertError('wire-malformed', 'the HTTP answer has no end'))
        return
      }
      const status = /^HTTP\/1\.[01] (\d{3})/.exec(head.toString('latin1', 0, 64))?.[1]
      if (status === undefined) {
        fail(new CulvertError('wire-malformed', 'the answer is not HTTP'))
        return
      }
      done()
      const rest = head.subarray(end + 4)
      if (rest.length > 0) socket.unshift(rest)
      const written = /^date: *([^\r\n]{10,40})\r?$/im.exec(head.toString('latin1', 0, end + 2))?.[1]
      const dateMs = written === undefined ? Number.NaN : Date.parse(written)
      resolve({ status: Number(status), dateMs: Number.isFinite(dateMs) ? dateMs : undefined })
    }
    socket.on('readable', look)
    socket.on('close', close)
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
  })
}
