/**
 * NAT-PMP (RFC 6886), version 0. Big-endian; answers have the request's opcode and 128.
 *
 *   address request   version u8, opcode 0
 *   address answer    version, opcode 128, result u16, epoch u32, IPv4 address (4)
 *   mapping request   version, opcode 1 UDP or 2 TCP, reserved u16, internal port u16, external port u16, lifetime u32
 *   mapping answer    version, opcode 129 or 130, result u16, epoch u32, internal port, external port, lifetime u32
 */
const NAT_PMP_VERSION = 0
const ANSWER = 128
const OPCODE = { udp: 1, tcp: 2 } as const

export type NatPmpAnswer =
  | { readonly kind: 'address'; readonly epochS: number; readonly address: string }
  | {
      readonly kind: 'mapping'
      readonly epochS: number
      readonly protocol: 'tcp' | 'udp'
      readonly internalPort: number
      readonly externalPort: number
      readonly lifetimeS: number
    }
  | { readonly kind: 'refused'; readonly opcode: number; readonly result: number; readonly epochS: number | undefined }

export function natPmpAddressRequest(): Uint8Array {
  return Uint8Array.of(NAT_PMP_VERSION, 0)
}

/** Lifetime 0 deletes the mapping of the internal port; the external one has to be 0 then (§3.4). */
export function natPmpMappingRequest(
  protocol: 'tcp' | 'udp',
  internalPort: number,
  externalPort: number,
  lifetimeS: number,
): Uint8Array {
  const bytes = Buffer.alloc(12)
  bytes.writeUInt8(OPCODE[protocol], 1)
  bytes.writeUInt16BE(internalPort, 4)
  bytes.writeUInt16BE(externalPort, 6)
  bytes.writeUInt32BE(lifetimeS, 8)
  return bytes
}

/** Undefined for anything that is no NAT-PMP answer. */
export function readNatPmpAnswer(bytes: Buffer): NatPmpAnswer | undefined {
  if (bytes.length < 4 || bytes[0] !== NAT_PMP_VERSION) return undefined
  const code = bytes.readUInt8(1)
  if (code < ANSWER) return undefined
  const opcode = code - ANSWER
  const result = bytes.readUInt16BE(2)
  const epochS = bytes.length >= 8 ? bytes.readUInt32BE(4) : undefined
  if (result !== 0) return { kind: 'refused', opcode, result, epochS }
  if (epochS === undefined) return undefined
  if (opcode === 0) {
    if (bytes.length < 12) return undefined
    return { kind: 'address', epochS, address: [...bytes.subarray(8, 12)].join('.') }
  }
  const protocol = opcode === OPCODE.udp ? 'udp' : opcode === OPCODE.tcp ? 'tcp' : undefined
  if (protocol === undefined || bytes.length < 16) return undefined
  const [internalPort, externalPort] = [bytes.readUInt16BE(8), bytes.readUInt16BE(10)]
  return { kind: 'mapping', epochS, protocol, internalPort, externalPort, lifetimeS: bytes.readUInt32BE(12) }
}
