import { addressFromBytes, addressToBytes } from '../../../common/wire/address-bytes.ts'

/**
 * PCP (RFC 6887), version 2. Big-endian. IPv4 addresses stand as `::ffff:a.b.c.d`.
 *
 *   request    version u8, opcode u8, reserved u16, lifetime u32, our own address (16)
 *   answer     version, opcode and 128, reserved u8, result u8, lifetime u32, epoch u32, reserved (12)
 *   MAP, both  nonce (12), protocol u8, reserved (3), internal port u16, external port u16, external address (16)
 */
const PCP_VERSION = 2
export const PCP_NONCE_BYTES = 12
const HEADER_BYTES = 24
const MAP_BYTES = 36
const ANSWER = 128
const ANNOUNCE = 0
const MAP = 1
const PROTOCOL_NUMBER = { tcp: 6, udp: 17 } as const
const V4_HEAD = Buffer.from('00000000000000000000ffff', 'hex')

export interface PcpMap {
  readonly nonce: Uint8Array
  readonly protocol: 'tcp' | 'udp'
  readonly internalPort: number
  readonly externalPort: number
  readonly lifetimeS: number
}

export type PcpAnswer =
  | { readonly kind: 'announce'; readonly epochS: number }
  | (PcpMap & { readonly kind: 'map'; readonly epochS: number; readonly externalAddress: string })
  /** `lifetimeS`: for how long the answer will be the same; `nonce`: of the MAP that it answers. */
  | {
      readonly kind: 'refused'
      readonly opcode: number
      readonly result: number
      readonly lifetimeS: number
      readonly epochS: number
      readonly nonce: Uint8Array | undefined
    }

/** §14.1: asks for nothing but the server's clock. */
export function pcpAnnounceRequest(client: string): Uint8Array {
  return header(ANNOUNCE, 0, client)
}

/** Lifetime 0 deletes; the external port and address are then zero (§15.1). */
export function pcpMapRequest(client: string, map: PcpMap): Uint8Array {
  const payload = Buffer.alloc(MAP_BYTES)
  payload.set(map.nonce)
  payload.writeUInt8(PROTOCOL_NUMBER[map.protocol], 12)
  payload.writeUInt16BE(map.internalPort, 16)
  payload.writeUInt16BE(map.externalPort, 18)
  // §11.2: any address of the family that it is for.
  if (!client.includes(':')) payload.set(V4_HEAD, 20)
  return Buffer.concat([header(MAP, map.lifetimeS, client), payload])
}

/** Undefined for anything that is no PCP answer of this version. */
export function readPcpAnswer(bytes: Buffer): PcpAnswer | undefined {
  // §8.3: longer than any answer may be, or not in words of four bytes.
  if (bytes.length < HEADER_BYTES || bytes.length > 1100 || bytes.length % 4 !== 0) return undefined
  if (bytes[0] !== PCP_VERSION) return undefined
  const code = bytes.readUInt8(1)
  if (code < ANSWER) return undefined
  const opcode = code - ANSWER
  const [result, lifetimeS, epochS] = [bytes.readUInt8(3), bytes.readUInt32BE(4), bytes.readUInt32BE(8)]
  const payload = bytes.subarray(HEADER_BYTES)
  const whole = opcode === MAP && payload.length >= MAP_BYTES
  const nonce = whole ? Uint8Array.from(payload.subarray(0, PCP_NONCE_BYTES)) : undefined
  if (result !== 0) return { kind: 'refused', opcode, result, lifetimeS, epochS, nonce }
  if (opcode === ANNOUNCE) return { kind: 'announce', epochS }
  if (nonce === undefined) return undefined
  const number = payload.readUInt8(12)
  const protocol = number === PROTOCOL_NUMBER.tcp ? 'tcp' : number === PROTOCOL_NUMBER.udp ? 'udp' : undefined
  if (protocol === undefined) return undefined
  const [internalPort, externalPort] = [payload.readUInt16BE(16), payload.readUInt16BE(18)]
  const externalAddress = addressOf(payload.subarray(20, MAP_BYTES))
  return { kind: 'map', epochS, nonce, protocol, internalPort, externalPort, lifetimeS, externalAddress }
}

function header(opcode: number, lifetimeS: number, client: string): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES)
  bytes.set([PCP_VERSION, opcode])
  bytes.writeUInt32BE(lifetimeS, 4)
  const address = addressToBytes(client)
  if (address.length === 4) bytes.set(V4_HEAD, 8)
  bytes.set(address, 24 - address.length)
  return bytes
}

function addressOf(bytes: Buffer): string {
  return addressFromBytes(bytes.subarray(0, 12).equals(V4_HEAD) ? bytes.subarray(12) : bytes)
}
