import { CulvertError } from '../errors.ts'

/** Reads big-endian fields from untrusted bytes; running past the end throws `wire-malformed`. */
export class ByteReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  skip(length: number): this {
    this.#take(length)
    return this
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1))
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2))
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4))
  }

  /** A u64 that a number holds exactly; beyond 2^53 it is malformed. */
  u64(): number {
    const value = this.#view.getBigUint64(this.#take(8))
    if (value > BigInt(Number.MAX_SAFE_INTEGER))
      throw new CulvertError('wire-malformed', `counter ${value} is too large`)
    return Number(value)
  }

  /** A copy, so that a small field does not keep a large packet alive. */
  bytes(length: number): Uint8Array {
    const start = this.#take(length)
    // Not `slice`: a Buffer's gives a view.
    return new Uint8Array(this.#bytes.subarray(start, start + length))
  }

  /** UTF-8 text with a u16 length before it, at most `maxBytes`. Invalid UTF-8 is malformed. */
  text(maxBytes: number): string {
    const length = this.u16()
    if (length > maxBytes) throw new CulvertError('wire-malformed', `text of ${length} bytes; at most ${maxBytes}`)
    const start = this.#take(length)
    try {
      return UTF8.decode(this.#bytes.subarray(start, start + length))
    } catch (cause) {
      throw new CulvertError('wire-malformed', 'text is not UTF-8', { cause })
    }
  }

  #take(length: number): number {
    const start = this.#at
    if (length > this.left) {
      throw new CulvertError('wire-malformed', `message ends ${length - this.left} bytes too early`)
    }
    this.#at += length
    return start
  }
}

/** A byte order mark is a character like any other, else two byte strings would be one name. */
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Writes big-endian fields into a buffer of a fixed size. */
export class ByteWriter {
  readonly #buffer: Buffer
  #at = 0

  constructor(size: number) {
    this.#buffer = Buffer.allocUnsafe(size)
  }

  u8(value: number): this {
    this.#at = this.#buffer.writeUInt8(value, this.#at)
    return this
  }

  u16(value: number): this {
    this.#at = this.#buffer.writeUInt16BE(value, this.#at)
    return this
  }

  u32(value: number): this {
    this.#at = this.#buffer.writeUInt32BE(value, this.#at)
    return this
  }

  u64(value: number): this {
    this.#at = this.#buffer.writeBigUInt64BE(BigInt(value), this.#at)
    return this
  }

  bytes(bytes: Uint8Array): this {
    this.#buffer.set(bytes, this.#at)
    this.#at += bytes.length
    return this
  }

  /** UTF-8 with a u16 length before it. */
  text(text: string): this {
    const bytes = Buffer.from(text, 'utf8')
    return this.u16(bytes.length).bytes(bytes)
  }

  finish(): Buffer {
    return this.#buffer.subarray(0, this.#at)
  }
}

/** Not for secrets: how long it takes tells where they differ. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
