import { MESSAGE_COST } from './stream-control.ts'

/**
 * What a peer may have under way to us. At 100 ms RTT it carries 160 Mbit/s, more than SCTP does there, and it is all
 * that a stalled reader makes us hold.
 */
export const WINDOW = 2 * 1024 * 1024

/** Grants go out in steps of this size: small enough that a sender with a whole window never waits for one. */
const GRANT_STEP = WINDOW / 8

/** Messages that came and were not read yet, and the credit that follows from it. Costs are bytes plus MESSAGE_COST. */
export class ReceiveQueue {
  readonly window = WINDOW
  #messages: Buffer[] = []
  #head = 0
  #arrivedCost = 0
  #takenCost = 0
  #granted = WINDOW
  #ended = false

  /** The peer has sent its end. */
  get ended(): boolean {
    return this.#ended
  }

  /** The peer has sent its end and everything before it was taken. */
  get finished(): boolean {
    return this.#ended && this.#head >= this.#messages.length
  }

  /** Keeps a message; false when the peer had no credit for it or has sent its end. */
  put(message: Buffer): boolean {
    this.#arrivedCost += message.length + MESSAGE_COST
    if (this.#ended || this.#arrivedCost > this.#granted) return false
    if (message.length === 0) this.#takenCost += MESSAGE_COST
    else this.#messages.push(message)
    return true
  }

  end(): void {
    this.#ended = true
  }

  /** The oldest messages, joined while they stay within `limit` bytes; undefined when there are none. */
  take(limit: number): Buffer | undefined {
    const first = this.#messages[this.#head]
    if (!first) return undefined
    let length = first.length
    let next = this.#head + 1
    for (; next < this.#messages.length; next++) {
      const more = this.#messages[next]?.length ?? 0
      if (length + more > limit) break
      length += more
    }
    const taken = next === this.#head + 1 ? first : Buffer.concat(this.#messages.slice(this.#head, next), length)
    this.#takenCost += length + (next - this.#head) * MESSAGE_COST
    this.#head = next
    if (this.#head >= 64 || this.#head === this.#messages.length) {
      this.#messages = this.#messages.slice(this.#head)
      this.#head = 0
    }
    return taken
  }

  /** The total that may now be announced, when it has grown by a step since the last time. */
  grant(): number | undefined {
    const total = this.#takenCost + WINDOW
    if (total - this.#granted < GRANT_STEP) return undefined
    this.#granted = total
    return total
  }

  clear(): void {
    this.#messages = []
    this.#head = 0
  }
}
