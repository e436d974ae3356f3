import type { Socket } from 'node:net'

const COUNTER_BYTES = 8

export interface PaceReport {
  readonly sent: number
  readonly received: number
  /** Counters that came back in another place than they were sent. */
  readonly misplaced: number
}

/** Milliseconds of `monotonicMs`, and of a silence. */
export interface Silence {
  readonly first: number | null
  readonly longestGap: number
  readonly until: number
}

/** Sends a counter every few milliseconds through an echo, and notes when each came back. */
export class PacedStream {
  readonly #socket: Socket
  readonly #timer: NodeJS.Timeout
  readonly #arrivals: number[] = []
  #rest: Buffer = Buffer.alloc(0)
  #sent = 0
  #misplaced = 0
  #closed = false

  constructor(socket: Socket, everyMs: number) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('close', () => {
      this.#closed = true
    })
    this.#timer = setInterval(() => {
      const counter = Buffer.alloc(COUNTER_BYTES)
      counter.writeUInt32BE(this.#sent++)
      socket.write(counter)
    }, everyMs)
  }

  /** When the first counter came back at or after `since`; how long the longest silence after it was, and until when. */
  look(since: number): Silence {
    const after = this.#arrivals.filter(at => at >= since)
    let [longestGap, until] = [0, after[0] ?? since]
    for (const [i, at] of after.entries()) {
      const gap = at - (after[i - 1] ?? at)
      if (gap > longestGap) [longestGap, until] = [gap, at]
    }
    return { first: after[0] ?? null, longestGap, until }
  }

  /** Stops sending and waits for what is under way, at most for 20 s. */
  async finish(): Promise<PaceReport> {
    clearInterval(this.#timer)
    for (let tries = 0; tries < 400 && this.#arrivals.length < this.#sent && !this.#closed; tries++) {
      await new Promise(resolve => setTimeout(resolve, 50))
    }
    this.#socket.destroy()
    return { sent: this.#sent, received: this.#arrivals.length, misplaced: this.#misplaced }
  }

  #take(chunk: Buffer): void {
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk
    const now = monotonicMs()
    let at = 0
    for (; at + COUNTER_BYTES <= bytes.length; at += COUNTER_BYTES) {
      if (bytes.readUInt32BE(at) !== this.#arrivals.length) this.#misplaced++
      this.#arrivals.push(now)
    }
    this.#rest = bytes.subarray(at)
  }
}

/** The same clock in every process of the machine. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000
}
