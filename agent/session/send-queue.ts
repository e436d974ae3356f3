import { CulvertError } from '../../common/errors.ts'
import { giveBackBatchBuffer } from './buffers.ts'

/** Sequenced frames that were written together. */
export class Batch {
  readonly bytes: Buffer
  readonly frames: number
  /** Payload bytes of user data in it. */
  readonly dataBytes: number
  /** Sequence number of its first frame. */
  readonly firstSeq: number
  /** Counts batches from the session's beginning. */
  readonly ordinal: number
  #writes = 0
  #acknowledged = false

  constructor(bytes: Buffer, frames: number, dataBytes: number, firstSeq: number, ordinal: number) {
    this.bytes = bytes
    this.frames = frames
    this.dataBytes = dataBytes
    this.firstSeq = firstSeq
    this.ordinal = ordinal
  }

  /** A write of its bytes begins; `written` must follow. */
  writing(): void {
    this.#writes++
  }

  written(): void {
    this.#writes--
    this.#recycle()
  }

  /** Nobody will ask for its bytes again. */
  acknowledge(): void {
    this.#acknowledged = true
    this.#recycle()
  }

  /** Acknowledged over one path, it may still wait to be written on another one. */
  #recycle(): void {
    if (this.#acknowledged && this.#writes === 0) giveBackBatchBuffer(this.bytes)
  }
}

/** Everything sequenced that the peer has not acknowledged, in order. Sending it again elsewhere loses nothing. */
export class SendQueue {
  #batches: Array<Batch | undefined> = []
  /** Before this index all is acknowledged and empty; those places are cut off now and then. */
  #head = 0
  #nextSeq = 0
  #nextOrdinal = 0
  #bytes = 0

  /** Bytes held for a possible resend. */
  get bytes(): number {
    return this.#bytes
  }

  get nextSeq(): number {
    return this.#nextSeq
  }

  get nextOrdinal(): number {
    return this.#nextOrdinal
  }

  get headOrdinal(): number {
    return this.#batches[this.#head]?.ordinal ?? this.#nextOrdinal
  }

  push(bytes: Buffer, frames: number, dataBytes: number): Batch {
    const batch = new Batch(bytes, frames, dataBytes, this.#nextSeq, this.#nextOrdinal)
    this.#nextSeq += frames
    this.#nextOrdinal++
    this.#bytes += bytes.length
    this.#batches.push(batch)
    return batch
  }

  /** The batch of this ordinal, or undefined when it was acknowledged or does not exist yet. */
  at(ordinal: number): Batch | undefined {
    return this.#batches[this.#head + ordinal - this.headOrdinal]
  }

  /** The peer has every frame before `received`. Throws `wire-malformed` when that is more than was ever sent. */
  acknowledge(received: number): void {
    if (received > this.#nextSeq) {
      throw new CulvertError('wire-malformed', `the peer acknowledges frame ${received} of ${this.#nextSeq}`)
    }
    for (let batch = this.#batches[this.#head]; batch; batch = this.#batches[this.#head]) {
      if (batch.firstSeq + batch.frames > received) break
      this.#bytes -= batch.bytes.length
      batch.acknowledge()
      // At once, not with the place: a batch is 128 KiB.
      this.#batches[this.#head] = undefined
      this.#head++
    }
    if (this.#head > 64 && this.#head * 2 > this.#batches.length) {
      this.#batches = this.#batches.slice(this.#head)
      this.#head = 0
    }
  }
}
