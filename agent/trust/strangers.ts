import type { PeerId } from '../../common/wire/peer-id.ts'

/** Ours: whoever adds a device tries it now; more than the last few are no device of one owner. */
const MAX_STRANGERS = 4
const FORGET_MS = 24 * 3_600_000

/** One who called and is neither in "peers" nor a member; `at` is monotonic, ms. */
export interface Stranger {
  readonly id: PeerId
  readonly at: number
}

/** The last few who proved an id, to us or to a relay of ours, and were turned away: most often a device that was not added. */
export class Strangers {
  readonly #calls = new Map<PeerId, number>()
  /** One came: perhaps a member that we have not heard of. */
  onNote: (() => void) | undefined

  note(id: PeerId, now: number): void {
    this.#calls.delete(id)
    this.#calls.set(id, now)
    this.onNote?.()
    const [oldest] = this.#calls.keys()
    if (oldest !== undefined && this.#calls.size > MAX_STRANGERS) this.#calls.delete(oldest)
  }

  /** Newest first, without those who are trusted by now. */
  list(isTrusted: (id: PeerId) => boolean, now: number): readonly Stranger[] {
    return [...this.#calls]
      .map(([id, at]) => ({ id, at }))
      .filter(({ id, at }) => !isTrusted(id) && now - at < FORGET_MS)
      .toReversed()
  }
}
