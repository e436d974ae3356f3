import { CulvertError } from '../errors.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import type { Endpoint } from './endpoint.ts'
import { MAX_ENDPOINT_BYTES, readEndpoint, writeEndpoint } from './endpoint-bytes.ts'
import { PROBE_SECRET_BYTES } from './probe.ts'
import { encodeFrame, FRAME, type Frame } from './session-frame.ts'

/** Why a side does not go along. */
export const DECLINES = ['other', 'unpredictable', 'not-hard', 'busy'] as const
export type Decline = (typeof DECLINES)[number]

/**
 * One message of an attempt to get through both NATs, over TCP by simultaneous open or over UDP by a search; or through
 * two firewalls, over TCP and IPv6. The
 * attempt's number stands in the frame's stream field.
 */
export type PunchSignal = { readonly over: 'tcp' | 'tcp6' | 'udp' } & PunchWords

export type PunchWords =
  /** `outside`: where the sender's port is to be met, alike for everybody; in `aim`: one of its next flows. */
  | (Meeting<'offer'> & Secret)
  | Meeting<'answer'>
  | Meeting<'aim'>
  /** The sender's NAT has another outside port for each destination, so the receiver is to say where it can be met. */
  | ({ readonly kind: 'ask' } & Secret)
  /** What the sender sent to the receiver came from one of these ports; `first`: the next that it sends will. */
  | { readonly kind: 'window'; readonly from: Endpoint; readonly ports: number; readonly first: boolean }
  /** The receiver has opened its own NAT towards the window. */
  | { readonly kind: 'go' }
  | { readonly kind: 'decline'; readonly why: Decline }

/** What the keys of a search's probes are made of; none over TCP. */
interface Secret {
  readonly secret: Uint8Array
}

interface Meeting<Kind> {
  readonly kind: Kind
  readonly outside: Endpoint
  /** Where it is met by those who stand behind the same outer NAT; not in `aim`. */
  readonly between?: Endpoint
}

const KINDS = ['offer', 'answer', 'decline', 'ask', 'window', 'aim', 'go'] as const
const KIND_BITS = 0x0f
const UDP_BIT = 0x80
const IPV6_BIT = 0x40
const OVER_BITS = { tcp: 0, tcp6: IPV6_BIT, udp: UDP_BIT } as const
const FIRST_BIT = 0x01

/** Flags: the kind, bit 7 for UDP, and bit 6 for TCP over IPv6. */
export function encodePunch(attempt: number, signal: PunchSignal): Buffer {
  const writer = new ByteWriter(2 * MAX_ENDPOINT_BYTES + PROBE_SECRET_BYTES)
  switch (signal.kind) {
    case 'offer':
      writeEndpoint(writer, signal.outside)
      writer.bytes(signal.secret)
      if (signal.between) writeEndpoint(writer, signal.between)
      break
    case 'answer':
    case 'aim':
      writeEndpoint(writer, signal.outside)
      if (signal.between) writeEndpoint(writer, signal.between)
      break
    case 'ask':
      writer.bytes(signal.secret)
      break
    case 'window':
      writeEndpoint(writer, signal.from)
      writer.u16(signal.ports).u8(signal.first ? FIRST_BIT : 0)
      break
    case 'decline':
      writer.u8(DECLINES.indexOf(signal.why))
      break
    case 'go':
      break
    default:
      signal satisfies never
  }
  const flags = KINDS.indexOf(signal.kind) | OVER_BITS[signal.over]
  return encodeFrame(FRAME.punch, attempt, writer.finish(), flags)
}

/** Undefined for a kind that a newer peer knows and we do not. */
export function decodePunch(frame: Frame): PunchSignal | undefined {
  const over = frame.flags & UDP_BIT ? 'udp' : frame.flags & IPV6_BIT ? 'tcp6' : 'tcp'
  const secretBytes = over === 'udp' ? PROBE_SECRET_BYTES : 0
  const words = decodeWords(KINDS[frame.flags & KIND_BITS], new ByteReader(frame.payload), secretBytes)
  return words && { over, ...words }
}

function decodeWords(
  kind: (typeof KINDS)[number] | undefined,
  reader: ByteReader,
  secretBytes: number,
): PunchWords | undefined {
  switch (kind) {
    case 'offer':
      return { kind, outside: readEndpoint(reader), secret: reader.bytes(secretBytes), ...readBetween(reader) }
    case 'answer':
    case 'aim':
      return { kind, outside: readEndpoint(reader), ...readBetween(reader) }
    case 'window': {
      const from = readEndpoint(reader)
      const ports = reader.u16()
      if (ports === 0 || from.port + ports > 0x10000) {
        throw new CulvertError('wire-malformed', `a window of ${ports} ports from ${from.port} on`)
      }
      return { kind, from, ports, first: (reader.u8() & FIRST_BIT) !== 0 }
    }
    case 'decline':
      return { kind, why: DECLINES[reader.u8()] ?? 'other' }
    case 'ask':
      return { kind, secret: reader.bytes(secretBytes) }
    case 'go':
      return { kind }
    case undefined:
      return undefined
    default:
      return kind satisfies never
  }
}

function readBetween(reader: ByteReader): { readonly between?: Endpoint } {
  return reader.left > 0 ? { between: readEndpoint(reader) } : {}
}
