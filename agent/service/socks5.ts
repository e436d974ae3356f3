import { CulvertError, type ErrorCode } from '../../common/errors.ts'

// RFC 1928, as far as clients of names need it.

const VERSION = 5
const NO_AUTHENTICATION = 0
const NONE_ACCEPTABLE = 0xff
const ADDRESS_BYTES = { 1: 4, 4: 16 } as const
const DOMAIN = 3

/** Method selection (§3) and request (§4) together; a client that sends more before the reply sends its data. */
export const MAX_HANDSHAKE_BYTES = 2 + 255 + 4 + 1 + 255 + 2

export const SOCKS_REPLY = {
  succeeded: 0,
  failure: 1,
  notAllowed: 2,
  hostUnreachable: 4,
  refused: 5,
  commandUnknown: 7,
  addressUnknown: 8,
} as const

export type SocksReply = (typeof SOCKS_REPLY)[keyof typeof SOCKS_REPLY]

export interface SocksRequest {
  readonly command: 'connect' | 'udp-associate' | 'other'
  /** Undefined when the client gave an address. */
  readonly domain: string | undefined
  readonly port: number
}

/** Something that begins the bytes, and how many it took; undefined while there are too few. */
type Taken<T> = { readonly value: T; readonly length: number } | undefined

/** The answer to a client's method selection: whether it can do without authentication. Throws when it is no SOCKS5. */
export function readGreeting(bytes: Buffer): Taken<{ readonly answer: Buffer; readonly ok: boolean }> {
  if (bytes.length > 0 && bytes[0] !== VERSION) throw new CulvertError('wire-malformed', 'no SOCKS5 client')
  const length = 2 + (bytes[1] ?? 0)
  if (bytes.length < 2 || bytes.length < length) return undefined
  const ok = bytes.subarray(2, length).includes(NO_AUTHENTICATION)
  return { value: { ok, answer: Buffer.of(VERSION, ok ? NO_AUTHENTICATION : NONE_ACCEPTABLE) }, length }
}

export function readRequest(bytes: Buffer): Taken<SocksRequest> {
  if (bytes.length > 0 && bytes[0] !== VERSION) throw new CulvertError('wire-malformed', 'no SOCKS5 request')
  const destination = readDestination(bytes, 3)
  if (!destination) return undefined
  const command = bytes[1] === 1 ? 'connect' : bytes[1] === 3 ? 'udp-associate' : 'other'
  return { value: { command, ...destination.value }, length: destination.length }
}

/** The bound address of a reply is told for UDP only; a client of CONNECT has no use for it. */
export function socksReply(reply: SocksReply, bound?: { readonly address: Buffer; readonly port: number }): Buffer {
  const address = bound?.address ?? Buffer.alloc(4)
  const port = Buffer.alloc(2)
  port.writeUInt16BE(bound?.port ?? 0)
  return Buffer.concat([Buffer.of(VERSION, reply, 0, address.length === 16 ? 4 : 1), address, port])
}

export function replyForError(code: ErrorCode): SocksReply {
  switch (code) {
    case 'not-authorized':
    case 'peer-refused':
      return SOCKS_REPLY.notAllowed
    case 'peer-unknown':
    case 'peer-offline':
    case 'peer-unreachable':
    case 'relay-unreachable':
    case 'timed-out':
      return SOCKS_REPLY.hostUnreachable
    case 'service-unknown':
    case 'service-unavailable':
      return SOCKS_REPLY.refused
    default:
      return SOCKS_REPLY.failure
  }
}

/** A datagram of a UDP client (§7). */
export interface SocksDatagram {
  /** Also the head of what comes back from there. */
  readonly head: Buffer
  readonly domain: string | undefined
  readonly data: Buffer
}

/** Undefined for what is none, and for fragments, which §7 lets us drop. */
export function readSocksDatagram(bytes: Buffer): SocksDatagram | undefined {
  if (bytes[2] !== 0) return undefined
  const destination = readDestination(bytes, 3)
  if (!destination) return undefined
  const { value, length } = destination
  return { head: bytes.subarray(0, length), domain: value.domain, data: bytes.subarray(length) }
}

/** Type, address and port that stand at `at`. Throws for a type that does not exist. */
function readDestination(
  bytes: Buffer,
  at: number,
): Taken<{ readonly domain: string | undefined; readonly port: number }> {
  const type = bytes[at]
  if (type === undefined) return undefined
  if (type !== DOMAIN && type !== 1 && type !== 4) {
    throw new CulvertError('wire-malformed', `SOCKS5 address type ${type}`)
  }
  const from = type === DOMAIN ? at + 2 : at + 1
  const end = from + (type === DOMAIN ? (bytes[at + 1] ?? 0) : ADDRESS_BYTES[type])
  if (bytes.length < end + 2 || bytes.length < from) return undefined
  const domain = type === DOMAIN ? bytes.toString('latin1', from, end) : undefined
  return { value: { domain, port: bytes.readUInt16BE(end) }, length: end + 2 }
}
