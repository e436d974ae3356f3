import type { Clock } from '../../common/platform/clock.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'

/** As many as a peer may tell of itself over a session; it makes one in ten seconds at most. */
const RECORDS_PER_PERIOD = 6
const PERIOD_MS = 10_000

/**
 * How many records of each peer others may bring in a period. Only those count that the peer has signed: one that is forged
 * must not keep out those that are not.
 */
export class RecordBudget {
  readonly #clock: Pick<Clock, 'now'>
  readonly #taken = new Map<PeerId, number>()
  #periodFrom: number

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
    this.#periodFrom = clock.now()
  }

  isOver(peer: PeerId): boolean {
    if (this.#clock.now() - this.#periodFrom >= PERIOD_MS) {
      this.#periodFrom = this.#clock.now()
      this.#taken.clear()
    }
    return (this.#taken.get(peer) ?? 0) >= RECORDS_PER_PERIOD
  }

  took(peer: PeerId): void {
    this.#taken.set(peer, (this.#taken.get(peer) ?? 0) + 1)
  }
}
