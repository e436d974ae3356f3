import type { Clock, Timer } from '../../common/platform/clock.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'

/** Who was turned away comes back sooner than this, if it is honest; until then its turn is kept. */
const WANTED_MS = 12_000
/** What a search counts at least: one that ends at once has kept others out, too. */
const LEAST_MS = 3_000
/** What a peer took of the gate counts half as much after this time. */
const HALF_LIFE_MS = 300_000

interface Waiter {
  readonly peer: PeerId
  admit(entered: Disposable): void
}

/**
 * One search at a time in the whole agent: two would share one router's patience. Peers share it fairly: whoever was turned
 * away comes before those who had it longer, so that none keeps the others out, however often it asks.
 */
export class SearchGate {
  readonly #clock: Clock
  readonly #waiting = new Set<Waiter>()
  /** Who was turned away, and until when its turn is kept. */
  readonly #wanted = new Map<PeerId, number>()
  readonly #held = new Map<PeerId, { readonly ms: number; readonly at: number }>()
  #taken = false
  #timer: Timer | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get taken(): boolean {
    return this.#taken
  }

  /** Undefined while another one runs, or while somebody waits who had less of it. */
  enter(peer: PeerId): Disposable | undefined {
    if (!this.#taken && this.#isNext(peer)) return this.#take(peer)
    this.#wanted.set(peer, this.#clock.now() + WANTED_MS)
    return undefined
  }

  /** Enters when it is this peer's turn; resolves with undefined when the signal aborts before. */
  turn(peer: PeerId, signal: AbortSignal): Promise<Disposable | undefined> {
    return new Promise(resolve => {
      if (signal.aborted) {
        resolve(undefined)
        return
      }
      const leave = () => {
        this.#waiting.delete(waiter)
        resolve(undefined)
      }
      const waiter: Waiter = {
        peer,
        admit: entered => {
          signal.removeEventListener('abort', leave)
          resolve(entered)
        },
      }
      signal.addEventListener('abort', leave, { once: true })
      this.#waiting.add(waiter)
      this.#admit()
    })
  }

  #take(peer: PeerId): Disposable {
    this.#taken = true
    this.#wanted.delete(peer)
    const since = this.#clock.now()
    let mine = true
    return {
      [Symbol.dispose]: () => {
        if (!mine) return
        mine = false
        this.#taken = false
        const now = this.#clock.now()
        for (const other of this.#held.keys()) if (this.#heldBy(other) < 1) this.#held.delete(other)
        this.#held.set(peer, { ms: this.#heldBy(peer) + Math.max(LEAST_MS, now - since), at: now })
        this.#admit()
      },
    }
  }

  /** Lets the next waiter in. One whose turn another's goes before is looked at again when that is over. */
  #admit(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#taken) return
    for (const waiter of this.#waiting) {
      if (!this.#isNext(waiter.peer)) continue
      this.#waiting.delete(waiter)
      waiter.admit(this.#take(waiter.peer))
      return
    }
    const first = this.#waiting.size > 0 ? Math.min(...this.#wanted.values()) : Number.POSITIVE_INFINITY
    if (first === Number.POSITIVE_INFINITY) return
    this.#timer = this.#clock.after(Math.max(1, first - this.#clock.now()), () => this.#admit())
  }

  #isNext(peer: PeerId): boolean {
    const now = this.#clock.now()
    for (const [other, until] of this.#wanted) if (until <= now) this.#wanted.delete(other)
    const others = [...this.#wanted.keys(), ...[...this.#waiting].map(waiter => waiter.peer)]
    const own = this.#heldBy(peer)
    return !others.some(other => other !== peer && this.#heldBy(other) < own)
  }

  #heldBy(peer: PeerId): number {
    const held = this.#held.get(peer)
    return held ? held.ms * 0.5 ** ((this.#clock.now() - held.at) / HALF_LIFE_MS) : 0
  }
}
