import { CulvertError } from '../errors.ts'
import { addressFromBytes, addressToBytes } from './address-bytes.ts'
import type { ByteReader, ByteWriter } from './bytes.ts'
import type { Endpoint } from './endpoint.ts'

/** What `writeEndpoint` takes at most. */
export const MAX_ENDPOINT_BYTES = 19

/** Layout: family u8 (4 or 6), port u16, address (4 or 16 bytes). */
export function writeEndpoint(writer: ByteWriter, { address, port }: Endpoint): void {
  const bytes = addressToBytes(address)
  writer.u8(familyOf(bytes)).u16(port).bytes(bytes)
}

/** Throws `wire-malformed`, also for port 0. */
export function readEndpoint(reader: ByteReader): Endpoint {
  const endpoint = readAnyEndpoint(reader)
  if (endpoint.port === 0) throw new CulvertError('wire-malformed', 'port 0')
  return endpoint
}

/** As `readEndpoint`, for a list of which one with port 0 is skipped. */
export function readAnyEndpoint(reader: ByteReader): Endpoint {
  const family = reader.u8()
  const port = reader.u16()
  return { address: readAddress(reader, family), port }
}

/** The address of a family that was read before it. */
export function readAddress(reader: ByteReader, family: number): string {
  if (family !== 4 && family !== 6) throw new CulvertError('wire-malformed', `address family ${family}`)
  return addressFromBytes(reader.bytes(family === 4 ? 4 : 16))
}

export function familyOf(address: Uint8Array): 4 | 6 {
  return address.length === 4 ? 4 : 6
}
