import { createHash, randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

const BLOCK_BYTES = 65_536

export interface Transfer {
  /** SHA-256 of what went in, and of what came out at the other end, in hex. */
  readonly sent: string
  readonly received: string
  readonly bytes: number
}

/** A service that sends back what it gets. */
export function echoService(socket: Socket): void {
  socket.pipe(socket)
}

/** Sends random bytes through an echo and reads them back: both directions, half-close included. */
export function transferBothWays(stream: Duplex, bytes: number): Promise<Transfer> {
  const block = randomBytes(BLOCK_BYTES)
  return transferBlocks(stream, bytes, left => {
    // A different first word in each block, so that a lost or doubled block shows.
    block.writeUInt32BE(left >>> 0, 0)
    return Buffer.from(block.subarray(0, Math.min(left, block.length)))
  })
}

/** As `transferBothWays`, with the same text again and again. */
export function transferOf(stream: Duplex, text: Buffer, bytes: number): Promise<Transfer> {
  const block = Buffer.alloc(BLOCK_BYTES, text)
  return transferBlocks(stream, bytes, left => block.subarray(0, left))
}

async function transferBlocks(stream: Duplex, bytes: number, next: (left: number) => Buffer): Promise<Transfer> {
  const sent = createHash('sha256')
  const received = createHash('sha256')
  let count = 0
  const back = new Promise<void>((resolve, reject) => {
    stream.on('data', (chunk: Buffer) => {
      received.update(chunk)
      count += chunk.length
    })
    stream.once('end', resolve)
    stream.once('error', reject)
    stream.once('close', () => reject(new Error(`the stream closed after ${count} of ${bytes} bytes`)))
  })
  for (let left = bytes; left > 0; ) {
    const part = next(left)
    left -= part.length
    sent.update(part)
    if (!stream.write(part)) await new Promise<void>(resolve => stream.once('drain', resolve))
  }
  stream.end()
  await back
  return { sent: sent.digest('hex'), received: received.digest('hex'), bytes: count }
}

/** Enough to fill the paths of a lab, little enough that the machine is not busy with nothing else. */
const IN_FLIGHT_BYTES = 1024 * 1024

/** A transfer through an echo that goes on until it is told to finish. */
export class RunningTransfer {
  readonly #stream: Duplex
  readonly #inFlightBytes: number
  readonly #sent = createHash('sha256')
  readonly #received = createHash('sha256')
  readonly #ended: Promise<void>
  readonly #wakers = new Set<() => void>()
  readonly #sending: Promise<void>
  #sentBytes = 0
  #receivedBytes = 0
  #finishing = false

  constructor(stream: Duplex, inFlightBytes = IN_FLIGHT_BYTES) {
    this.#stream = stream
    this.#inFlightBytes = inFlightBytes
    this.#ended = new Promise<void>((resolve, reject) => {
      stream.on('data', (chunk: Buffer) => {
        this.#received.update(chunk)
        this.#receivedBytes += chunk.length
        this.#wake()
      })
      stream.once('end', resolve)
      stream.once('error', reject)
      stream.once('close', () => reject(new Error(`the stream closed after ${this.#receivedBytes} bytes`)))
    })
    const over = () => {
      this.#finishing = true
      this.#wake()
    }
    this.#ended.then(over, over)
    this.#sending = this.#send()
  }

  /** Bytes that came back so far. */
  get bytes(): number {
    return this.#receivedBytes
  }

  /** Rejects when the stream breaks, and resolves when it ends. */
  get broken(): Promise<void> {
    return this.#ended
  }

  /** Resolves when so many more bytes have come back; rejects when the stream breaks before. */
  async more(bytes: number): Promise<void> {
    const until = this.#receivedBytes + bytes
    while (this.#receivedBytes < until && !this.#finishing) await this.#change()
    if (this.#receivedBytes < until) await this.#ended
  }

  /** Resolves when a byte that is sent from now on has come back; rejects when the stream breaks before. */
  async fresh(): Promise<void> {
    await this.more(this.#sentBytes - this.#receivedBytes + 1)
  }

  async finish(): Promise<Transfer> {
    this.#finishing = true
    this.#wake()
    await this.#sending
    this.#stream.end()
    await this.#ended
    return { sent: this.#sent.digest('hex'), received: this.#received.digest('hex'), bytes: this.#receivedBytes }
  }

  async #send(): Promise<void> {
    const random = randomBytes(BLOCK_BYTES)
    for (let number = 0; !this.#finishing; number++) {
      if (this.#sentBytes - this.#receivedBytes > this.#inFlightBytes) {
        await this.#change()
        continue
      }
      const block = Buffer.from(random)
      block.writeUInt32BE(number, 0)
      this.#sent.update(block)
      this.#sentBytes += block.length
      this.#stream.write(block)
    }
  }

  #change(): Promise<void> {
    return new Promise(resolve => this.#wakers.add(resolve))
  }

  #wake(): void {
    for (const resolve of this.#wakers) resolve()
    this.#wakers.clear()
  }
}
