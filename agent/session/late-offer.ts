import type { Clock } from '../../common/platform/clock.ts'

/** A side that is told of another path sees within 2.5 s that its own is gone; the peer waits 5 s for an answer. */
const KEPT_MS = 4_000

/** The peer's last offer that came while nothing better was needed here: it may know before us that a path is gone. */
export class LateOffer {
  readonly #clock: Clock
  #kept: { readonly take: () => void; readonly until: number } | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  keep(take: () => void): void {
    this.#kept = { take, until: this.#clock.now() + KEPT_MS }
  }

  /** It is needed now, unless the peer has given up. */
  take(): void {
    const kept = this.#kept
    this.#kept = undefined
    if (kept && this.#clock.now() < kept.until) kept.take()
  }
}
