import type { TLSSocket } from 'node:tls'
import { canReadInto, readInto } from '../../common/platform/fast-read.ts'
import { RECORD_BYTES, recordBuffers } from './buffers.ts'

/**
 * Reads a path's TLS records into few buffers, by `readInto` where this Node can: a fresh buffer for each record is what
 * V8 collects its whole heap for.
 */
export class RecordReader {
  /** What records are read into, and whether a payload in it is kept. */
  #record: Buffer | undefined
  #recordKept = false

  /** What `take` is given is overwritten afterwards. */
  start(stream: TLSSocket, take: (chunk: Buffer) => void): void {
    if (!canReadInto(stream)) {
      stream.on('data', (chunk: Buffer) => take(chunk))
      return
    }
    for (let chunk: unknown = stream.read(); Buffer.isBuffer(chunk); chunk = stream.read()) take(chunk)
    let record = recordBuffers.take()
    this.#record = record
    const onRead = (length: number) => {
      take(record.subarray(0, length))
      return true
    }
    const nextBuffer = () => {
      if (!this.#recordKept) return undefined
      this.#recordKept = false
      record = recordBuffers.take()
      this.#record = record
      return record
    }
    readInto(stream, record, onRead, nextBuffer)
    stream.resume()
  }

  /**
   * A payload that stays as it is. A large one keeps the buffer that it was read into, until its reader gives that back,
   * so there may be one such only. A small one is copied.
   */
  keep(payload: Buffer): Buffer {
    if (payload.buffer !== this.#record?.buffer) return payload
    if (payload.length <= RECORD_BYTES / 2) return Buffer.from(payload)
    this.#recordKept = true
    return payload
  }
}
