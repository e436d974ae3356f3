import type { Clock, Timer } from '../../common/platform/clock.ts'
import type { Log } from '../../common/platform/log.ts'
import { type PeerId, shortPeerId } from '../../common/wire/peer-id.ts'

/** Who was turned away comes back sooner than this, if it is honest; until then its turn is kept. */
const WANTED_MS = 12_000
/** No search takes as long, with three rounds of aiming that end in a handshake each: what holds the gate longer hangs. */
const MAX_HELD_MS = 90_000
/** What a search counts at least: one that ends at once has kept others out, too. */
const LEAST_MS = 3_000
/** What a peer took of the gate counts half as much after this time. */
const HALF_LIFE_MS = 300_000

/** A search's place in the gate. It ends when the search disposes of it, and in any case when its time is up. */
export interface GateHold extends Disposable {
  /** Aborts when the time is up: others may enter, so what still searches has to end. */
  readonly overdue: AbortSignal
}

interface Waiter {
  readonly peer: PeerId
  admit(entered: GateHold): void
}

/**
 * One search at a time in the whole agent: two would share one router's patience. Peers share it fairly: whoever was turned
 * away comes before those who had it longer, so that none keeps the others out, however often it asks.
 */
export class SearchGate {
  readonly #clock: Clock
  readonly #log: Log
  readonly #waiting = new Set<Waiter>()
  /** Who was turned away, and until when its turn is kept. */
  readonly #wanted = new Map<PeerId, number>()
  readonly #held = new Map<PeerId, { readonly ms: number; readonly at: number }>()
  #taken = false
  #timer: Timer | undefined

  constructor(clock: Clock, log: Log) {
    this.#clock = clock
    this.#log = log
  }

  get taken(): boolean {
    return this.#taken
  }

  /** Undefined while another one runs, or while somebody waits who had less of it. */
  enter(peer: PeerId): GateHold | undefined {
    if (!this.#taken && this.#isNext(peer)) return this.#take(peer)
    this.#wanted.set(peer, this.#clock.now() + WANTED_MS)
    return undefined
  }

  /** Enters when it is this peer's turn; resolves with undefined when the signal aborts before. */
  turn(peer: PeerId, signal: AbortSignal): Promise<GateHold | undefined> {
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

  #take(peer: PeerId): GateHold {
    this.#taken = true
    this.#wanted.delete(peer)
    const since = this.#clock.now()
    const overdue = new AbortController()
    let mine = true
    const leave = () => {
      if (!mine) return
      mine = false
      timer.cancel()
      this.#taken = false
      const now = this.#clock.now()
      for (const other of this.#held.keys()) if (this.#heldBy(other) < 1) this.#held.delete(other)
      this.#held.set(peer, { ms: this.#heldBy(peer) + Math.max(LEAST_MS, now - since), at: now })
      this.#admit()
    }
    const timer = this.#clock.after(MAX_HELD_MS, () => {
      this.#log.warn('a search did not end, and was stopped', { peer: shortPeerId(peer), afterMs: MAX_HELD_MS })
      overdue.abort()
      leave()
    })
    return { overdue: overdue.signal, [Symbol.dispose]: leave }
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
