/** Under way at a time; a path that answers none of so many is judged by its silence. */
const MAX_PINGS = 64

/** Told the round trip; undefined when there will be no answer. */
export type PingAnswer = (rttMs: number | undefined) => void

/** The pings under way over one path, and what their answers tell of it. */
export class Pings {
  readonly #waiting = new Map<number, { readonly sentAt: number; readonly answer: PingAnswer }>()
  #next = 1
  #rttMs: number | undefined
  #leastRttMs: number | undefined
  #pongAt = Number.NEGATIVE_INFINITY

  get rttMs(): number | undefined {
    return this.#rttMs
  }

  /** Of the line itself: the others have waited behind what we send. */
  get leastRttMs(): number | undefined {
    return this.#leastRttMs
  }

  /** When the last one was answered. */
  get pongAt(): number {
    return this.#pongAt
  }

  get full(): boolean {
    return this.#waiting.size >= MAX_PINGS
  }

  /** Returns the number that the ping has to carry. Where there are too many, the oldest is given up. */
  begin(now: number, answer: PingAnswer): number {
    const oldest = this.full ? this.#waiting.entries().next().value : undefined
    if (oldest) {
      this.#waiting.delete(oldest[0])
      oldest[1].answer(undefined)
    }
    const id = this.#next++
    this.#waiting.set(id, { sentAt: now, answer })
    return id
  }

  /** A pong came; false when it answers nothing that was asked. */
  end(id: number, now: number): boolean {
    const ping = this.#waiting.get(id)
    if (!ping) return false
    this.#waiting.delete(id)
    this.#pongAt = now
    const sample = now - ping.sentAt
    // A smoothed value as in RFC 6298, so that one late answer does not make a path look slow.
    this.#rttMs = this.#rttMs === undefined ? sample : this.#rttMs + (sample - this.#rttMs) / 8
    this.#leastRttMs = Math.min(sample, this.#leastRttMs ?? sample)
    ping.answer(sample)
    return true
  }

  giveUp(): void {
    for (const { answer } of this.#waiting.values()) answer(undefined)
    this.#waiting.clear()
  }
}
