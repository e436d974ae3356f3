import type { Duplex } from 'node:stream'
import type { Handlers } from './commands.ts'
import { monotonicMs } from './paced-stream.ts'

const BLOCK = Buffer.alloc(64 * 1024, 7)
const LINE = Buffer.from('a line of sixty-four bytes, about what a terminal program sends\n')
/** The first byte of a stream says what the far end is to do with the rest. */
const COUNT = 0x63
const ECHO = 0x65

/** Traffic of a program that carries bytes of its own making, over one stream for bulk and one for echoes. */
export class MadeUpTraffic {
  #received = 0
  #running = false
  #bulk: Duplex | undefined
  #echo: Duplex | undefined
  #onEcho: ((bytes: number) => void) | undefined

  /** The end that sends. */
  open(bulk: Duplex, echo: Duplex): void {
    this.#bulk = bulk
    this.#echo = echo
    bulk.on('drain', () => this.#pump())
    bulk.resume()
    echo.on('data', (chunk: Buffer) => this.#onEcho?.(chunk.length))
    bulk.write(Buffer.of(COUNT))
    echo.write(Buffer.of(ECHO))
  }

  /** The end that counts and echoes. */
  accept(stream: Duplex): void {
    let mode: number | undefined
    // One listener for good: streamx does not flow on when a listener takes the place of another one.
    stream.on('data', (chunk: Buffer) => {
      const bytes = mode === undefined ? chunk.subarray(1) : chunk
      mode ??= chunk[0]
      if (mode === ECHO && bytes.length > 0) stream.write(Buffer.from(bytes))
      else this.#received += bytes.length
    })
  }

  get handlers(): Handlers {
    return {
      start: () => {
        this.#running = true
        this.#pump()
      },
      count: () => ({ bytes: this.#received, at: monotonicMs() }),
      stop: () => {
        this.#running = false
      },
      echo: request => this.#echoTimes(request.number('count')),
    }
  }

  #pump(): void {
    while (this.#running && this.#bulk?.write(BLOCK));
  }

  async #echoTimes(count: number): Promise<readonly number[]> {
    const times: number[] = []
    for (let i = 0; i < count; i++) times.push(await this.#roundTrip())
    return times
  }

  #roundTrip(): Promise<number> {
    return new Promise(resolve => {
      const sentAt = monotonicMs()
      let missing = LINE.length
      this.#onEcho = bytes => {
        missing -= bytes
        if (missing === 0) resolve(monotonicMs() - sentAt)
      }
      this.#echo?.write(LINE)
    })
  }
}
