import { CulvertError } from '../errors.ts'
import { FRAME, FRAME_HEADER_BYTES, type Frame, MAX_FRAME_PAYLOAD, writeFrameHeader } from './session-frame.ts'

/** What UDP carries at most over IPv6 (RFC 768: the length field, less its own 8 bytes); over IPv4 it is 65,507. */
export const MAX_DATAGRAM_BYTES = 65_527

/** Flag of `datagram`: the payload is a part, behind u16 message, u8 index and u8 count. */
const PART = 1
const PART_HEADER_BYTES = 4
const MAX_PARTS = 255

/** One part of a datagram that did not fit into one frame. */
export interface DatagramPart {
  readonly message: number
  readonly index: number
  readonly count: number
  /** A view into the frame. */
  readonly bytes: Buffer
}

/** How many frames a datagram takes, and how many bytes they have in all, with frames of at most `frameBytes`. */
export function datagramSize(length: number, frameBytes: number): { readonly frames: number; readonly bytes: number } {
  if (length <= frameBytes - FRAME_HEADER_BYTES) return { frames: 1, bytes: FRAME_HEADER_BYTES + length }
  const frames = Math.ceil(length / (frameBytes - FRAME_HEADER_BYTES - PART_HEADER_BYTES))
  return { frames, bytes: length + frames * (FRAME_HEADER_BYTES + PART_HEADER_BYTES) }
}

/**
 * Writes the frames of one datagram at `at`, each of at most `frameBytes`; returns where they end. Parts are of equal
 * size, so that on a path of packets none is much more likely to be lost than the others.
 */
export function writeDatagram(
  into: Buffer,
  at: number,
  flow: number,
  message: number,
  datagram: Uint8Array,
  frameBytes: number = FRAME_HEADER_BYTES + MAX_FRAME_PAYLOAD,
): number {
  const { frames } = datagramSize(datagram.length, frameBytes)
  if (frames > MAX_PARTS || datagram.length > MAX_DATAGRAM_BYTES) {
    throw new CulvertError('wire-malformed', `a datagram of ${datagram.length} bytes is too long`)
  }
  if (frames === 1) {
    writeFrameHeader(into, at, FRAME.datagram, 0, datagram.length, flow)
    into.set(datagram, at + FRAME_HEADER_BYTES)
    return at + FRAME_HEADER_BYTES + datagram.length
  }
  const partBytes = Math.ceil(datagram.length / frames)
  let end = at
  for (let index = 0; index < frames; index++) {
    const part = datagram.subarray(index * partBytes, (index + 1) * partBytes)
    writeFrameHeader(into, end, FRAME.datagram, PART, PART_HEADER_BYTES + part.length, flow)
    end += FRAME_HEADER_BYTES
    end = into.writeUInt16BE(message & 0xffff, end)
    end = into.writeUInt8(index, end)
    end = into.writeUInt8(frames, end)
    into.set(part, end)
    end += part.length
  }
  return end
}

/** A whole datagram, as a view into the frame, or a part of one. */
export function decodeDatagram(frame: Frame): Buffer | DatagramPart {
  const { payload, flags } = frame
  if ((flags & PART) === 0) return payload
  if (payload.length <= PART_HEADER_BYTES) throw new CulvertError('wire-malformed', 'a part of a datagram is empty')
  const message = payload.readUInt16BE(0)
  const index = payload.readUInt8(2)
  const count = payload.readUInt8(3)
  if (count < 2 || index >= count) throw new CulvertError('wire-malformed', `part ${index} of ${count} of a datagram`)
  return { message, index, count, bytes: payload.subarray(PART_HEADER_BYTES) }
}
