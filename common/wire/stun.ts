import { isIP } from 'node:net'
import { createMessage, type StunPacket } from 'stun/src/lib/create-message.js'
import decodePacket from 'stun/src/message/decode.js'
import encodePacket from 'stun/src/message/encode.js'
import { CulvertError } from '../errors.ts'
import { addressFromBytes, addressToBytes } from './address-bytes.ts'
import type { Endpoint } from './endpoint.ts'

export type StunClass = 'request' | 'indication' | 'success' | 'error'

/** One STUN message (RFC 8489), with the attributes that address discovery (RFC 5780) needs. */
export interface StunMessage {
  readonly class: StunClass
  readonly method: 'binding' | number
  /** Twelve bytes, unpredictable in a request. */
  readonly transactionId: Uint8Array
  readonly xorMappedAddress?: Endpoint
  readonly mappedAddress?: Endpoint
  readonly otherAddress?: Endpoint
  readonly responseOrigin?: Endpoint
  /** Asks the server to answer from its other address, other port, or both (RFC 5780 §7.2). */
  readonly changeRequest?: { readonly address: boolean; readonly port: boolean }
  /** 300 to 699. */
  readonly errorCode?: number
  readonly software?: string
  /**
   * When decoded from a request or a success: attributes that must be understood and are not (a server answers 420, a
   * client drops the answer). In an error: those that the sender did not understand.
   */
  readonly unknownAttributes?: readonly number[]
}

export const STUN_TRANSACTION_BYTES = 12
export const STUN_HEADER_BYTES = 20
/** No STUN message of ours, nor any answer to one, comes near an Ethernet frame; larger ones are not parsed. */
export const MAX_STUN_BYTES = 1500
/** RFC 8489 §5: the fixed value that tells STUN from its predecessor and from other protocols on the same port. */
const MAGIC_COOKIE = 0x2112a442
const BINDING = 0x001
const MAX_METHOD = 0xfff
/** The parser takes a microsecond per attribute; a packet of empty ones must not buy a stranger 0.3 ms of our time. */
const MAX_ATTRIBUTES = 24
const ATTRIBUTE_HEADER_BYTES = 4
/** RFC 8489 §14.14 allows fewer than 128 characters, which is up to 509 bytes. */
const MAX_SOFTWARE_CHARS = 127

const CLASSES: readonly StunClass[] = ['request', 'indication', 'success', 'error']

const ATTRIBUTE = {
  mappedAddress: 0x0001,
  changeRequest: 0x0003,
  errorCode: 0x0009,
  unknownAttributes: 0x000a,
  xorMappedAddress: 0x0020,
  software: 0x8022,
  responseOrigin: 0x802b,
  otherAddress: 0x802c,
} as const

/** Understood, or about credentials that nobody here has: these never make a message unacceptable. */
const KNOWN_REQUIRED: ReadonlySet<number> = new Set([
  ATTRIBUTE.mappedAddress,
  ATTRIBUTE.changeRequest,
  ATTRIBUTE.errorCode,
  ATTRIBUTE.unknownAttributes,
  ATTRIBUTE.xorMappedAddress,
  ...[0x0006, 0x0008, 0x0014, 0x0015, 0x001c, 0x001d, 0x001e],
])
/** RFC 8489 §14: types below this one must be understood by the receiver. */
const FIRST_OPTIONAL = 0x8000
const CHANGE_ADDRESS = 0x04
const CHANGE_PORT = 0x02

/** True when a datagram can only be STUN: how a shared port tells it from everything else (RFC 7983, RFC 8489 §5). */
export function looksLikeStun(bytes: Uint8Array): boolean {
  if (bytes.length < STUN_HEADER_BYTES || bytes.length > MAX_STUN_BYTES || ((bytes[0] ?? 0xff) & 0xc0) !== 0)
    return false
  const view = new DataView(bytes.buffer, bytes.byteOffset, STUN_HEADER_BYTES)
  const length = view.getUint16(2)
  return view.getUint32(4) === MAGIC_COOKIE && length % 4 === 0 && length + STUN_HEADER_BYTES === bytes.length
}

/** The message in exactly these bytes, or undefined when they are anything else, or larger than 1500 bytes. */
export function decodeStun(bytes: Uint8Array): StunMessage | undefined {
  if (!looksLikeStun(bytes) || !attributesFit(bytes)) return undefined
  try {
    return messageOf(decodePacket(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)))
  } catch {
    return undefined
  }
}

/** Throws `internal` for what no message can carry: a bad address, method, code or transaction id. */
export function encodeStun(message: StunMessage): Buffer {
  const { transactionId, changeRequest, errorCode, software, unknownAttributes } = message
  if (transactionId.length !== STUN_TRANSACTION_BYTES) {
    throw unencodable(`transaction id of ${transactionId.length} bytes`)
  }
  const packet = createMessage(typeOf(message), Buffer.from(transactionId))
  if (errorCode !== undefined) {
    if (!isErrorCode(errorCode)) throw unencodable(`error code ${errorCode}`)
    packet.addAttribute(ATTRIBUTE.errorCode, errorCode, REASONS.get(errorCode) ?? '')
  }
  if (unknownAttributes !== undefined && message.class === 'error') {
    packet.addAttribute(ATTRIBUTE.unknownAttributes, unknownAttributes)
  }
  for (const name of ['xorMappedAddress', 'mappedAddress', 'responseOrigin', 'otherAddress'] as const) {
    const endpoint = message[name]
    if (endpoint === undefined) continue
    const { address, port } = checkedEndpoint(endpoint)
    packet.addAttribute(ATTRIBUTE[name], address, port)
  }
  if (changeRequest !== undefined) {
    const flags = (changeRequest.address ? CHANGE_ADDRESS : 0) | (changeRequest.port ? CHANGE_PORT : 0)
    packet.addAttribute(ATTRIBUTE.changeRequest, flags)
  }
  if (software !== undefined) packet.addAttribute(ATTRIBUTE.software, software.slice(0, MAX_SOFTWARE_CHARS))
  return encodePacket(packet)
}

/** True when every attribute ends where the next begins and the last one where the message does. */
function attributesFit(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = STUN_HEADER_BYTES
  for (let count = 0; at < bytes.length; count++) {
    if (count === MAX_ATTRIBUTES) return false
    at += ATTRIBUTE_HEADER_BYTES + Math.ceil(view.getUint16(at + 2) / 4) * 4
  }
  return at === bytes.length
}

const REASONS: ReadonlyMap<number, string> = new Map([
  [400, 'Bad Request'],
  [420, 'Unknown Attribute'],
  [500, 'Server Error'],
])

function messageOf(packet: StunPacket): StunMessage | undefined {
  const method = (packet.type & 0x000f) | ((packet.type & 0x00e0) >> 1) | ((packet.type & 0x3e00) >> 2)
  const messageClass = CLASSES[((packet.type & 0x0010) >> 4) | ((packet.type & 0x0100) >> 7)] ?? 'request'
  // The first attribute of a type counts (RFC 8489 §14); a later one must not override it.
  const found = new Map<number, unknown>()
  const notUnderstood: number[] = []
  for (const { type, value } of packet) {
    if (!found.has(type)) found.set(type, value)
    if (type < FIRST_OPTIONAL && !KNOWN_REQUIRED.has(type)) notUnderstood.push(type)
  }
  const listed = messageClass === 'error' ? numbersOf(found.get(ATTRIBUTE.unknownAttributes)) : notUnderstood
  const change = found.get(ATTRIBUTE.changeRequest)
  const software = found.get(ATTRIBUTE.software)
  const errorCode = errorCodeOf(found.get(ATTRIBUTE.errorCode))
  return {
    class: messageClass,
    method: method === BINDING ? 'binding' : method,
    transactionId: Uint8Array.from(packet.transactionId),
    ...endpointAs('xorMappedAddress', found.get(ATTRIBUTE.xorMappedAddress), packet.transactionId),
    ...endpointAs('mappedAddress', found.get(ATTRIBUTE.mappedAddress)),
    ...endpointAs('otherAddress', found.get(ATTRIBUTE.otherAddress)),
    ...endpointAs('responseOrigin', found.get(ATTRIBUTE.responseOrigin)),
    ...(typeof change === 'number'
      ? { changeRequest: { address: (change & CHANGE_ADDRESS) !== 0, port: (change & CHANGE_PORT) !== 0 } }
      : {}),
    ...(errorCode === undefined ? {} : { errorCode }),
    ...(Buffer.isBuffer(software) ? { software: software.toString('utf8').slice(0, MAX_SOFTWARE_CHARS) } : {}),
    ...(listed.length > 0 ? { unknownAttributes: listed } : {}),
  }
}

type EndpointName = 'xorMappedAddress' | 'mappedAddress' | 'otherAddress' | 'responseOrigin'

/** Addresses leave here in their one canonical text, so that they compare as strings. */
function endpointAs(
  name: EndpointName,
  value: unknown,
  mask?: Uint8Array,
): { readonly [Name in EndpointName]?: Endpoint } {
  if (typeof value !== 'object' || value === null || !('address' in value) || !('port' in value)) return {}
  const { address, port } = value
  if (typeof address !== 'string' || typeof port !== 'number' || isIP(address) === 0) return {}
  // The package keeps 0 for a port that it could not read.
  if (port < 1 || port > 65535) return {}
  const raw = addressToBytes(address)
  // The package unmasks an IPv6 address before it knows the transaction id: only the first four bytes are right.
  if (mask && raw.length === 16) for (const [i, bits] of mask.entries()) raw[i + 4] = (raw[i + 4] ?? 0) ^ bits
  return { [name]: { address: addressFromBytes(raw), port } }
}

function checkedEndpoint({ address, port }: Endpoint): Endpoint {
  // The package silently keeps its default for what it does not like, and takes an address with a zone for a plain one.
  if (isIP(address) === 0 || address.includes('%') || !Number.isInteger(port) || port < 1 || port > 65535) {
    throw unencodable(`endpoint ${address} port ${port}`)
  }
  return { address: addressFromBytes(addressToBytes(address)), port }
}

function errorCodeOf(value: unknown): number | undefined {
  if (typeof value !== 'object' || value === null || !('code' in value)) return undefined
  return typeof value.code === 'number' && isErrorCode(value.code) ? value.code : undefined
}

function isErrorCode(code: number): boolean {
  return Number.isInteger(code) && code >= 300 && code <= 699
}

function numbersOf(value: unknown): readonly number[] {
  return Array.isArray(value) ? value.filter(item => typeof item === 'number') : []
}

function typeOf(message: StunMessage): number {
  const method = message.method === 'binding' ? BINDING : message.method
  if (!Number.isInteger(method) || method < 0 || method > MAX_METHOD) throw unencodable(`method ${method}`)
  const classBits = CLASSES.indexOf(message.class)
  const spread = (method & 0x000f) | ((method & 0x0070) << 1) | ((method & 0x0f80) << 2)
  return spread | ((classBits & 1) << 4) | ((classBits & 2) << 7)
}

function unencodable(what: string): CulvertError {
  return new CulvertError('internal', `a STUN message cannot carry ${what}`)
}
