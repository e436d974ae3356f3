import { noteTraffic } from '../../common/platform/engine.ts'
import {
  encodeFrame,
  FRAME,
  FRAME_HEADER_BYTES,
  MAX_FRAME_PAYLOAD,
  writeFrameHeader,
} from '../../common/wire/session-frame.ts'
import { BATCH_BYTES, SMALL_BYTES, takeBatchBuffer } from './buffers.ts'
import type { SessionStream } from './stream.ts'

export interface OutgoingBatch {
  readonly bytes: Buffer
  readonly frames: number
  readonly dataBytes: number
}

/** What waits to be sent for the first time: control frames, and streams that take turns frame by frame. */
export class Outbox {
  #control: Buffer[] = []
  readonly #turn: Set<SessionStream> = new Set()

  get empty(): boolean {
    return this.#control.length === 0 && this.#turn.size === 0
  }

  /** So little that it had better go at once than wait for company. */
  get isSmall(): boolean {
    if (this.#turn.size > 1) return false
    for (const stream of this.#turn) if (stream.sendableBytes > SMALL_BYTES) return false
    return true
  }

  get controlCount(): number {
    return this.#control.length
  }

  control(frame: Buffer): void {
    this.#control.push(frame)
  }

  ready(stream: SessionStream): void {
    this.#turn.add(stream)
  }

  remove(stream: SessionStream): void {
    this.#turn.delete(stream)
  }

  clear(): void {
    this.#control = []
    this.#turn.clear()
  }

  /** The next frames to write, or undefined. With `holdStreams` user bytes stay where they are. */
  next(holdStreams: boolean): OutgoingBatch | undefined {
    if (this.#control.length > 0) return this.#controlBatch()
    return holdStreams ? undefined : this.#dataBatch()
  }

  #controlBatch(): OutgoingBatch {
    let size = 0
    let count = 0
    for (const frame of this.#control) {
      if (count > 0 && size + frame.length > BATCH_BYTES) break
      size += frame.length
      count++
    }
    const frames = this.#control.splice(0, count)
    return { bytes: Buffer.concat(frames, size), frames: frames.length, dataBytes: 0 }
  }

  #dataBatch(): OutgoingBatch | undefined {
    const size = this.#sizeWanted()
    if (size === 0) return undefined
    noteTraffic()
    const bytes = takeBatchBuffer(size)
    let at = 0
    let frames = 0
    let dataBytes = 0
    for (const stream of this.#turn) {
      const room = size - at - FRAME_HEADER_BYTES
      // Who finds the batch full stays at the head of the line.
      if (room < 0 || (room === 0 && stream.sendableBytes > 0)) break
      // Taking it out and putting it back moves it to the end.
      this.#turn.delete(stream)
      const taken = stream.takeInto(bytes, at + FRAME_HEADER_BYTES, Math.min(room, MAX_FRAME_PAYLOAD))
      if (taken > 0) {
        writeFrameHeader(bytes, at, FRAME.data, 0, taken, stream.id)
        at += FRAME_HEADER_BYTES + taken
        frames++
        dataBytes += taken
      }
      if (stream.sendableBytes > 0) {
        this.#turn.add(stream)
      } else if (stream.endDue) {
        stream.endTaken()
        this.#control.push(encodeFrame(FRAME.end, stream.id))
      }
    }
    if (frames === 0) return this.#control.length > 0 ? this.#controlBatch() : undefined
    return { bytes: at === bytes.length ? bytes : bytes.subarray(0, at), frames, dataBytes }
  }

  /** Bytes of a batch that holds what is ready, up to the limit; small ones get a small buffer. */
  #sizeWanted(): number {
    let size = 0
    for (const stream of this.#turn) {
      const { sendableBytes } = stream
      size += sendableBytes + FRAME_HEADER_BYTES * (1 + Math.floor(sendableBytes / MAX_FRAME_PAYLOAD))
      if (size >= BATCH_BYTES) return BATCH_BYTES
    }
    return size
  }
}
