import { type DatagramPart, MAX_DATAGRAM_BYTES } from '../../common/wire/datagram.ts'

/** Of all parts that wait for others, in one session: some four of the largest datagrams. */
const MAX_WAITING_BYTES = 256 * 1024
/** What a part costs beside its bytes. */
const PART_COST_BYTES = 128
/** Parts leave together and arrive within a round trip; IP gives its fragments 60 s (RFC 8200 §4.5), far too long here. */
const WAIT_MS = 2_000

interface Waiting {
  readonly flow: number
  readonly message: number
  readonly parts: Array<Buffer | undefined>
  readonly since: number
  missing: number
  bytes: number
  cost: number
}

/** Puts datagrams together that came in parts. Bounded in bytes and time; what does not become whole is dropped. */
export class Reassembly {
  /** Oldest first. */
  readonly #waiting = new Map<string, Waiting>()
  #cost = 0
  #dropped = 0

  /** Bytes held, with what holding them costs. */
  get cost(): number {
    return this.#cost
  }

  /** Datagrams that never became whole. */
  get dropped(): number {
    return this.#dropped
  }

  /** Takes a copy of a part; gives the datagram when it was the last one missing. */
  add(flow: number, part: DatagramPart, now: number): Buffer | undefined {
    this.#expire(now)
    const key = `${flow} ${part.message}`
    let waiting = this.#waiting.get(key)
    if (waiting && waiting.parts.length !== part.count) {
      // The number came round again, and what it stood for was never completed.
      this.#drop(key, waiting)
      waiting = undefined
    }
    if (!waiting) {
      const parts = new Array<Buffer | undefined>(part.count).fill(undefined)
      const { message, count } = part
      waiting = { flow, message, parts, since: now, missing: count, bytes: 0, cost: PART_COST_BYTES }
      this.#cost += waiting.cost
      this.#waiting.set(key, waiting)
    }
    if (waiting.parts[part.index]) return undefined
    const cost = part.bytes.length + PART_COST_BYTES
    waiting.parts[part.index] = Buffer.from(part.bytes)
    waiting.bytes += part.bytes.length
    waiting.cost += cost
    this.#cost += cost
    if (waiting.bytes > MAX_DATAGRAM_BYTES) {
      this.#drop(key, waiting)
      return undefined
    }
    if (--waiting.missing > 0) {
      this.#makeRoom()
      return undefined
    }
    this.#remove(key, waiting)
    return Buffer.concat(waiting.parts.filter(bytes => bytes !== undefined))
  }

  /** A flow ended: nobody waits for its datagrams. */
  forget(flow: number): void {
    for (const [key, waiting] of this.#waiting) if (waiting.flow === flow) this.#remove(key, waiting)
  }

  #expire(now: number): void {
    for (const [key, waiting] of this.#waiting) {
      if (now - waiting.since < WAIT_MS) return
      this.#drop(key, waiting)
    }
  }

  #makeRoom(): void {
    for (const [key, waiting] of this.#waiting) {
      if (this.#cost <= MAX_WAITING_BYTES) return
      this.#drop(key, waiting)
    }
  }

  #drop(key: string, waiting: Waiting): void {
    this.#dropped++
    this.#remove(key, waiting)
  }

  #remove(key: string, waiting: Waiting): void {
    this.#waiting.delete(key)
    this.#cost -= waiting.cost
  }
}
