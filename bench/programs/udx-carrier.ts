import { Duplex } from 'node:stream'

/** What a stream of UDX has in common with Node's, seen from outside. */
export interface UdxStream {
  write(chunk: Buffer): boolean
  pause(): unknown
  resume(): unknown
  destroy(): unknown
  on(event: 'data', listener: (chunk: Buffer) => void): unknown
  on(event: 'drain' | 'close', listener: () => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
}

/** A stream of UDX as Node's TLS wants it: UDX's own `write` calls nobody back. */
export class UdxCarrier extends Duplex {
  readonly #stream: UdxStream
  #written: (() => void) | undefined

  constructor(stream: UdxStream) {
    super()
    this.#stream = stream
    stream.on('data', chunk => {
      if (!this.push(chunk)) stream.pause()
    })
    stream.on('drain', () => {
      const written = this.#written
      this.#written = undefined
      written?.()
    })
    stream.on('error', error => this.destroy(error))
    stream.on('close', () => this.destroy())
  }

  override _read(): void {
    this.#stream.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, written: () => void): void {
    if (this.#stream.write(chunk)) written()
    else this.#written = written
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#stream.destroy()
    done(error)
  }
}
