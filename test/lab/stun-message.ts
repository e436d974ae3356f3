/**
 * As much of STUN (RFC 8489 §5, §14) and its behaviour discovery (RFC 5780 §7) as the lab's probe and responder need.
 *
 *   0      2      4        8              20
 *   | type | size | cookie | transaction  | attributes: type 2, size 2, value padded to 4 |
 */
export interface Address {
  readonly host: string
  readonly port: number
}

export interface StunMessage {
  readonly type: 'request' | 'response'
  /** 12 bytes, as hexadecimal. */
  readonly transaction: string
  /** RFC 5780 §7.2: what the answer's source is to differ in. */
  readonly change?: { readonly address: boolean; readonly port: boolean }
  readonly mapped?: Address
  /** RFC 5780 §7.4: the responder's address that differs in both. */
  readonly other?: Address
}

export const STUN_HEADER_BYTES = 20

const COOKIE = 0x2112a442
const TYPES = { request: 0x0001, response: 0x0101 } as const
const CHANGE_REQUEST = 0x0003
const XOR_MAPPED_ADDRESS = 0x0020
const OTHER_ADDRESS = 0x802c
const CHANGE_ADDRESS = 4
const CHANGE_PORT = 2

export function encodeStun(message: StunMessage): Buffer {
  const transaction = Buffer.from(message.transaction, 'hex')
  const attributes: Buffer[] = []
  if (message.change) {
    const flags = (message.change.address ? CHANGE_ADDRESS : 0) | (message.change.port ? CHANGE_PORT : 0)
    attributes.push(attribute(CHANGE_REQUEST, Buffer.from([0, 0, 0, flags])))
  }
  if (message.mapped) {
    attributes.push(attribute(XOR_MAPPED_ADDRESS, addressBytes(message.mapped, mask(transaction))))
  }
  if (message.other) attributes.push(attribute(OTHER_ADDRESS, addressBytes(message.other, Buffer.alloc(16))))
  const body = Buffer.concat(attributes)
  const header = Buffer.alloc(8)
  header.writeUInt16BE(TYPES[message.type], 0)
  header.writeUInt16BE(body.length, 2)
  header.writeUInt32BE(COOKIE, 4)
  return Buffer.concat([header, transaction, body])
}

/** Null for whatever is not a whole STUN message of the two kinds we speak. */
export function decodeStun(bytes: Buffer): StunMessage | null {
  if (bytes.length < STUN_HEADER_BYTES || bytes.readUInt32BE(4) !== COOKIE) return null
  if (bytes.length !== stunLength(bytes)) return null
  const code = bytes.readUInt16BE(0)
  if (code !== TYPES.request && code !== TYPES.response) return null
  const transaction = bytes.subarray(8, STUN_HEADER_BYTES)
  let message: StunMessage = {
    type: code === TYPES.request ? 'request' : 'response',
    transaction: transaction.toString('hex'),
  }
  for (let at = STUN_HEADER_BYTES; at + 4 <= bytes.length; ) {
    const size = bytes.readUInt16BE(at + 2)
    const value = bytes.subarray(at + 4, at + 4 + size)
    if (value.length !== size) return null
    message = { ...message, ...readAttribute(bytes.readUInt16BE(at), value, transaction) }
    at += 4 + Math.ceil(size / 4) * 4
  }
  return message
}

/** The length of the message that starts here, which frames STUN over TCP; needs the header's first four bytes. */
export function stunLength(bytes: Buffer): number {
  return STUN_HEADER_BYTES + bytes.readUInt16BE(2)
}

function readAttribute(type: number, value: Buffer, transaction: Buffer): Partial<StunMessage> {
  if (type === CHANGE_REQUEST && value.length === 4) {
    const flags = value.readUInt32BE(0)
    return { change: { address: (flags & CHANGE_ADDRESS) !== 0, port: (flags & CHANGE_PORT) !== 0 } }
  }
  if (type !== XOR_MAPPED_ADDRESS && type !== OTHER_ADDRESS) return {}
  const address = readAddress(value, type === XOR_MAPPED_ADDRESS ? mask(transaction) : Buffer.alloc(16))
  if (address === null) return {}
  return type === XOR_MAPPED_ADDRESS ? { mapped: address } : { other: address }
}

function attribute(type: number, value: Buffer): Buffer {
  const head = Buffer.alloc(4)
  head.writeUInt16BE(type, 0)
  head.writeUInt16BE(value.length, 2)
  return Buffer.concat([head, value])
}

/** Addresses are hidden from meddling NATs by XOR with cookie and transaction (RFC 8489 §14.2). */
function mask(transaction: Buffer): Buffer {
  const cookie = Buffer.alloc(4)
  cookie.writeUInt32BE(COOKIE)
  return Buffer.concat([cookie, transaction])
}

function addressBytes({ host, port }: Address, hidden: Buffer): Buffer {
  const bytes = host.includes(':') ? bytesOf6(host) : Buffer.from(host.split('.').map(Number))
  const head = Buffer.from([0, bytes.length === 4 ? 1 : 2, 0, 0])
  head.writeUInt16BE(port ^ hidden.readUInt16BE(0), 2)
  return Buffer.concat([head, exclusiveOr(bytes, hidden)])
}

function readAddress(value: Buffer, hidden: Buffer): Address | null {
  const length = value[1] === 1 ? 4 : 16
  if (value.length !== 4 + length) return null
  const bytes = exclusiveOr(value.subarray(4), hidden)
  const groups = Array.from({ length: 8 }, (_, i) => (length === 16 ? bytes.readUInt16BE(2 * i).toString(16) : ''))
  const host = length === 4 ? bytes.join('.') : new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
  return { host, port: value.readUInt16BE(2) ^ hidden.readUInt16BE(0) }
}

function exclusiveOr(bytes: Buffer, hidden: Buffer): Buffer {
  return Buffer.from(bytes.map((byte, i) => byte ^ (hidden[i] ?? 0)))
}

function bytesOf6(host: string): Buffer {
  const [front = '', back] = host.split('::')
  const groups = (text: string) => (text === '' ? [] : text.split(':'))
  const tail = groups(back ?? '')
  const gap = back === undefined ? 0 : 8 - groups(front).length - tail.length
  const all = [...groups(front), ...Array.from({ length: gap }, () => '0'), ...tail]
  return Buffer.from(all.map(group => group.padStart(4, '0')).join(''), 'hex')
}
