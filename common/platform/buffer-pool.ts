/**
 * Buffers of one size that are used again. Bulk bytes in ever new ones make V8 collect its whole heap twenty times a
 * second, since memory outside of the heap counts towards its limits too: that was half of what forwarding cost.
 */
export class BufferPool {
  readonly #bytes: number
  #limit: number
  /** Those of this pool, true while somebody has them. */
  readonly #lent = new WeakMap<ArrayBufferLike, boolean>()
  #free: ArrayBufferLike[] = []

  /** Keeps at most `limit` buffers of so many `bytes` while nobody uses them. */
  constructor(bytes: number, limit: number) {
    this.#bytes = bytes
    this.#limit = limit
  }

  /** A buffer with whatever was in it last. One that is never given back is left to the garbage collector. */
  take(): Buffer {
    const memory = this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#bytes).buffer
    this.#lent.set(memory, true)
    return Buffer.from(memory)
  }

  /** For the last reader of a buffer, or of a part of it. Does nothing with a buffer that is not of this pool. */
  giveBack(part: Buffer): void {
    const memory = part.buffer
    if (this.#lent.get(memory) !== true) return
    this.#lent.set(memory, false)
    if (this.#free.length < this.#limit) this.#free.push(memory)
  }

  /** From now on only a part of what it kept so far is kept, but one at least. */
  keepLess(part: number): void {
    this.#limit = Math.max(1, Math.floor(this.#limit * part))
    this.#free = this.#free.slice(0, this.#limit)
  }

  /** Frees what nobody uses. */
  empty(): void {
    this.#free = []
  }
}
