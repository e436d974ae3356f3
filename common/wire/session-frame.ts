import { CulvertError, type ErrorCode } from '../errors.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import { cutText, plainText } from './plain-text.ts'

/** The session protocol's versions that we speak. */
export const SESSION_VERSION = 1

/** type u8, flags u8, length u16 (of the payload), stream u32; big-endian. */
export const FRAME_HEADER_BYTES = 8

/** With its header a full frame is 16,384 bytes: one TLS record, so that a record never carries a torn frame. */
export const MAX_FRAME_PAYLOAD = 16_384 - FRAME_HEADER_BYTES

/**
 * Types with bit 0x40 carry one session sequence number each, counted implicitly from the last `resume` of their path.
 * A frame of an unknown type is skipped by its length, and counted when it has that bit.
 */
export const FRAME = {
  hello: 0x01,
  resume: 0x02,
  ack: 0x03,
  ping: 0x04,
  pong: 0x05,
  datagram: 0x06,
  leave: 0x07,
  open: 0x40,
  accept: 0x41,
  data: 0x42,
  credit: 0x43,
  end: 0x44,
  reset: 0x45,
  candidates: 0x46,
  ice: 0x47,
  bye: 0x48,
  punch: 0x49,
  situation: 0x50,
  secret: 0x51,
  record: 0x52,
} as const

export const SEQUENCED_BIT = 0x40

/** One frame as it came off a path; the payload may be a view into a larger buffer. */
export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

/** Names of services are at most this many bytes of UTF-8. */
const MAX_SERVICE_NAME_BYTES = 64
const MAX_CODE_BYTES = 64
const MAX_REASON_BYTES = 300
const MAX_SDP_BYTES = MAX_FRAME_PAYLOAD - 2
const MAX_ICE_LINE_BYTES = 1024
const MAX_ICE_MID_BYTES = 64
export const EPOCH_BYTES = 8

/** Opens every path. */
export interface Hello {
  readonly minVersion: number
  readonly maxVersion: number
  readonly features: number
  /** Made anew with every session state; another value than before means the peer has lost what it knew. */
  readonly epoch: Uint8Array
  /** The epoch that the sender knows of the receiver; zeros when it knows none. */
  readonly peerEpoch: Uint8Array
  /** Sequenced frames that the sender has received in this pair of epochs. */
  readonly received: number
  /** How the sender made this path; undefined when it was the one that was called. */
  readonly how: HelloHow | undefined
}

const HOWS = [undefined, 'lan', 'public', 'ipv6', 'mapped', 'punched', 'relay'] as const
export type HelloHow = Exclude<(typeof HOWS)[number], undefined>

/** One ICE message for the attempt whose number stands in the frame's stream field. */
export type IceSignal =
  | { readonly kind: 'offer' | 'answer'; readonly sdp: string }
  | { readonly kind: 'candidate'; readonly line: string; readonly mid: string }
  | { readonly kind: 'failed'; readonly reason: string }

/** Writes a whole frame. Throws `wire-malformed` when the payload is too long for one. */
export function encodeFrame(type: number, stream: number, payload?: Uint8Array, flags = 0): Buffer {
  const length = payload?.length ?? 0
  if (length > MAX_FRAME_PAYLOAD) throw new CulvertError('wire-malformed', `a frame of ${length} bytes is too long`)
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + length)
  writeFrameHeader(frame, 0, type, flags, length, stream)
  if (payload) frame.set(payload, FRAME_HEADER_BYTES)
  return frame
}

export function writeFrameHeader(
  into: Buffer,
  at: number,
  type: number,
  flags: number,
  length: number,
  stream: number,
): void {
  into[at] = type
  into[at + 1] = flags
  into[at + 2] = length >>> 8
  into[at + 3] = length & 0xff
  into.writeUInt32BE(stream, at + 4)
}

/** Zeros make it at least `atLeast` bytes long. */
export function encodeHello(hello: Hello, atLeast = 0): Buffer {
  const bytes = 17 + 2 * EPOCH_BYTES
  const padding = Math.max(0, atLeast - FRAME_HEADER_BYTES - bytes)
  const writer = new ByteWriter(bytes + padding)
  writer.u16(hello.minVersion).u16(hello.maxVersion).u32(hello.features)
  writer.bytes(hello.epoch).bytes(hello.peerEpoch).u64(hello.received).u8(HOWS.indexOf(hello.how))
  writer.bytes(new Uint8Array(padding))
  return encodeFrame(FRAME.hello, 0, writer.finish())
}

/** Bytes after the known fields belong to a newer version and are ignored. */
export function decodeHello(payload: Uint8Array): Hello {
  const reader = new ByteReader(payload)
  return {
    minVersion: reader.u16(),
    maxVersion: reader.u16(),
    features: reader.u32(),
    epoch: ownEpoch(reader.bytes(EPOCH_BYTES)),
    peerEpoch: reader.bytes(EPOCH_BYTES),
    received: reader.u64(),
    how: HOWS[reader.u8()],
  }
}

function ownEpoch(epoch: Uint8Array): Uint8Array {
  if (epoch.some(byte => byte !== 0)) return epoch
  throw new CulvertError('wire-malformed', 'the epoch of a hello is zero, which means none')
}

/** For `resume` (number of the next sequenced frame on this path) and `ack` (sequenced frames received so far). */
export function encodeCount(type: number, count: number): Buffer {
  return encodeFrame(type, 0, new ByteWriter(8).u64(count).finish())
}

export function decodeCount(payload: Uint8Array): number {
  return new ByteReader(payload).u64()
}

/** What a stream carries: bytes in order, or datagrams (a flow). */
export type StreamKind = 'bytes' | 'datagrams'

/** Flag of `open`: the stream is a flow. */
const FLOW = 1

/** `open`: the service asked for. Throws `service-unknown` for a name that no service can have. */
export function encodeOpen(stream: number, service: string, kind: StreamKind = 'bytes'): Buffer {
  const length = Buffer.byteLength(service, 'utf8')
  if (length > MAX_SERVICE_NAME_BYTES) {
    const message = `a service name of ${length} bytes; none has more than ${MAX_SERVICE_NAME_BYTES}`
    throw new CulvertError('service-unknown', message)
  }
  const payload = new ByteWriter(2 + MAX_SERVICE_NAME_BYTES).text(service).finish()
  return encodeFrame(FRAME.open, stream, payload, kind === 'datagrams' ? FLOW : 0)
}

export function decodeOpen(payload: Uint8Array, flags = 0): { readonly service: string; readonly kind: StreamKind } {
  const service = new ByteReader(payload).text(MAX_SERVICE_NAME_BYTES)
  return { service, kind: flags & FLOW ? 'datagrams' : 'bytes' }
}

/** `credit`: bytes that the receiver takes on top of those allowed before. */
export function encodeCredit(stream: number, bytes: number): Buffer {
  return encodeFrame(FRAME.credit, stream, new ByteWriter(4).u32(bytes).finish())
}

export function decodeCredit(payload: Uint8Array): number {
  return new ByteReader(payload).u32()
}

/** `reset`: a code of ours by name, and a sentence, cut to 300 bytes: a longer one would cost us the path. */
export function encodeReset(stream: number, code: ErrorCode, reason: string): Buffer {
  const writer = new ByteWriter(4 + MAX_CODE_BYTES + MAX_REASON_BYTES)
    .text(code)
    .text(cutText(reason, MAX_REASON_BYTES))
  return encodeFrame(FRAME.reset, stream, writer.finish())
}

export function decodeReset(payload: Uint8Array): { readonly code: string; readonly reason: string } {
  const reader = new ByteReader(payload)
  return { code: reader.text(MAX_CODE_BYTES), reason: plainText(reader.text(MAX_REASON_BYTES)) }
}

const ICE_KINDS = ['offer', 'answer', 'candidate', 'failed'] as const

/**
 * The kind stands in the frame's flags (0 offer, 1 answer, 2 candidate, 3 failed); texts in the payload. Throws
 * `wire-malformed` for texts that the peer would not take.
 */
export function encodeIce(attempt: number, signal: IceSignal): Buffer {
  const writer = new ByteWriter(MAX_FRAME_PAYLOAD)
  switch (signal.kind) {
    case 'offer':
    case 'answer':
      writer.text(fitting(signal.sdp, MAX_SDP_BYTES))
      break
    case 'candidate':
      writer.text(fitting(signal.mid, MAX_ICE_MID_BYTES)).text(fitting(signal.line, MAX_ICE_LINE_BYTES))
      break
    case 'failed':
      writer.text(cutText(signal.reason, MAX_REASON_BYTES))
      break
    default:
      signal satisfies never
  }
  return encodeFrame(FRAME.ice, attempt, writer.finish(), ICE_KINDS.indexOf(signal.kind))
}

function fitting(text: string, maxBytes: number): string {
  const length = Buffer.byteLength(text, 'utf8')
  if (length > maxBytes) throw new CulvertError('wire-malformed', `an ICE text of ${length} bytes; at most ${maxBytes}`)
  return text
}

/** Undefined for a kind that a newer peer knows and we do not. */
export function decodeIce(frame: Frame): IceSignal | undefined {
  const reader = new ByteReader(frame.payload)
  const kind = ICE_KINDS[frame.flags]
  switch (kind) {
    case 'offer':
    case 'answer':
      return { kind, sdp: reader.text(MAX_SDP_BYTES) }
    case 'candidate':
      return { kind, mid: reader.text(MAX_ICE_MID_BYTES), line: reader.text(MAX_ICE_LINE_BYTES) }
    case 'failed':
      return { kind, reason: plainText(reader.text(MAX_REASON_BYTES)) }
    case undefined:
      return undefined
    default:
      return kind satisfies never
  }
}

/**
 * Cuts a byte stream into frames. Give it each chunk; it calls back once per frame. A payload is a view into the chunk
 * when the frame lies whole in it, which is the rule (see MAX_FRAME_PAYLOAD). Holds at most one frame.
 */
export class FrameParser {
  readonly #onFrame: (frame: Frame) => void
  #held: Buffer | undefined
  #heldLength = 0

  constructor(onFrame: (frame: Frame) => void) {
    this.#onFrame = onFrame
  }

  /** Throws `wire-malformed` for a length that no frame may have, and whatever the callback throws. */
  push(chunk: Buffer): void {
    let at = 0
    if (this.#held) {
      at = this.#fill(chunk)
      if (this.#held) return
    }
    while (chunk.length - at >= FRAME_HEADER_BYTES) {
      const length = payloadLength(chunk, at)
      const end = at + FRAME_HEADER_BYTES + length
      if (end > chunk.length) break
      this.#emit(chunk, at, end)
      at = end
    }
    if (at < chunk.length) {
      this.#held = Buffer.allocUnsafe(FRAME_HEADER_BYTES + MAX_FRAME_PAYLOAD)
      this.#heldLength = chunk.copy(this.#held, 0, at)
    }
  }

  /** Completes the held frame from the chunk's beginning; returns how much it took. */
  #fill(chunk: Buffer): number {
    const held = this.#held
    if (!held) return 0
    let at = 0
    if (this.#heldLength < FRAME_HEADER_BYTES) {
      at = chunk.copy(held, this.#heldLength, 0, FRAME_HEADER_BYTES - this.#heldLength)
      this.#heldLength += at
      if (this.#heldLength < FRAME_HEADER_BYTES) return at
    }
    const whole = FRAME_HEADER_BYTES + payloadLength(held, 0)
    const took = chunk.copy(held, this.#heldLength, at, at + whole - this.#heldLength)
    this.#heldLength += took
    if (this.#heldLength === whole) {
      this.#held = undefined
      this.#emit(held, 0, whole)
    }
    return at + took
  }

  #emit(bytes: Buffer, at: number, end: number): void {
    this.#onFrame({
      type: bytes[at] ?? 0,
      flags: bytes[at + 1] ?? 0,
      stream: bytes.readUInt32BE(at + 4),
      payload: bytes.subarray(at + FRAME_HEADER_BYTES, end),
    })
  }
}

function payloadLength(bytes: Buffer, at: number): number {
  const length = bytes.readUInt16BE(at + 2)
  if (length > MAX_FRAME_PAYLOAD) throw new CulvertError('wire-malformed', `a frame claims ${length} bytes`)
  return length
}
