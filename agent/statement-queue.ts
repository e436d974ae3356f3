import type { Clock } from '../common/platform/clock.ts'
import type { PeerId } from '../common/wire/peer-id.ts'

/** From each relay; it says sixteen when its line comes up, and a member may tell it of 32 at once. */
const PER_SECOND = 2
const BURST = 48
/** Of all relays together. */
const MAX_WAITING = 64
const MAX_RELAYS = 64

export interface StatementQueueOptions<T> {
  readonly clock: Pick<Clock, 'now'>
  /** Looks at one; never rejects. */
  readonly take: (statement: T, relay: PeerId) => Promise<void>
}

/**
 * What relays say, looked at one after the other: each costs a signature or two, and a relay can say as much as its line
 * carries. What is too much is dropped; members tell it, too.
 */
export class StatementQueue<T> {
  readonly #options: StatementQueueOptions<T>
  readonly #waiting: (readonly [statement: T, relay: PeerId])[] = []
  readonly #left = new Map<PeerId, { readonly tokens: number; readonly at: number }>()
  #working = false

  constructor(options: StatementQueueOptions<T>) {
    this.#options = options
  }

  /** False when it is dropped. */
  add(statement: T, relay: PeerId): boolean {
    if (this.#waiting.length >= MAX_WAITING || !this.#spend(relay)) return false
    this.#waiting.push([statement, relay])
    if (!this.#working) void this.#work()
    return true
  }

  #spend(relay: PeerId): boolean {
    const at = this.#options.clock.now()
    const before = this.#left.get(relay) ?? { tokens: BURST, at }
    const tokens = Math.min(BURST, before.tokens + ((at - before.at) / 1000) * PER_SECOND)
    this.#left.delete(relay)
    this.#left.set(relay, { tokens: tokens < 1 ? tokens : tokens - 1, at })
    const [oldest] = this.#left.keys()
    if (this.#left.size > MAX_RELAYS && oldest !== undefined) this.#left.delete(oldest)
    return tokens >= 1
  }

  async #work(): Promise<void> {
    this.#working = true
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) await this.#options.take(...next)
    this.#working = false
  }
}
