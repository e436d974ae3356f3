import type { Clock } from '../../common/platform/clock.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'

const PERIOD_MS = 60_000

/** How many streams of one kind each peer may open in a minute, and have open. */
export class StreamQuota {
  readonly #clock: Clock
  readonly #perMinute: number
  readonly #atOnce: number
  readonly #open = new Map<PeerId, number>()
  readonly #begun = new Map<PeerId, number>()
  #periodFrom: number

  constructor(clock: Clock, perMinute: number, atOnce: number) {
    this.#clock = clock
    this.#perMinute = perMinute
    this.#atOnce = atOnce
    this.#periodFrom = clock.now()
  }

  /** Takes one; call what it gives when the stream is over. Undefined when there is none left. */
  take(peer: PeerId): (() => void) | undefined {
    const now = this.#clock.now()
    if (now - this.#periodFrom >= PERIOD_MS) {
      this.#periodFrom = now
      this.#begun.clear()
    }
    const [open, begun] = [this.#open.get(peer) ?? 0, this.#begun.get(peer) ?? 0]
    if (open >= this.#atOnce || begun >= this.#perMinute) return undefined
    this.#begun.set(peer, begun + 1)
    this.#open.set(peer, open + 1)
    return () => {
      const left = (this.#open.get(peer) ?? 1) - 1
      if (left > 0) this.#open.set(peer, left)
      else this.#open.delete(peer)
    }
  }
}
