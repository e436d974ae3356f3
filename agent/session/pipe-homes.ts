import type { Clock, Timer } from '../../common/platform/clock.ts'
import type { Random } from '../../common/platform/random.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { type Carrier, homesAmong } from './carriers.ts'

/** A relay that restarts is back by then, and not all of its agents come at once. */
const AFTER_MS = { least: 4_000, most: 9_000 } as const
const LOOK_MS = 30_000

export interface PipeHomesOptions {
  readonly clock: Clock
  readonly random: Random
  /** A relay is connected, over which others find us. */
  readonly hasRelay: () => boolean
  readonly carriers: () => readonly Carrier[]
  /** Sessions with these, and no others, are kept for our sake. */
  readonly keep: (peers: ReadonlySet<PeerId>) => void
}

/** While no relay is there, stays connected with a peer or two that carry for others: who cannot be dialled is found there. */
export class PipeHomes {
  readonly #options: PipeHomesOptions
  #homes: ReadonlySet<PeerId> = new Set()
  #timer: Timer | undefined
  #closed = false

  constructor(options: PipeHomesOptions) {
    this.#options = options
  }

  /** A relay came or went, or the agent begins. */
  look(): void {
    const { clock, random, hasRelay } = this.#options
    if (this.#closed || hasRelay()) {
      this.#timer?.cancel()
      this.#timer = undefined
      if (!this.#closed) this.#keep([])
      return
    }
    this.#timer ??= clock.after(random.integer(AFTER_MS.least, AFTER_MS.most), () => this.#choose())
  }

  close(): void {
    this.#closed = true
    this.look()
  }

  #choose(): void {
    const { clock, hasRelay, carriers } = this.#options
    this.#timer = undefined
    if (hasRelay()) return
    this.#keep(homesAmong(carriers(), this.#homes))
    this.#timer = clock.after(LOOK_MS, () => this.#choose())
  }

  #keep(homes: readonly PeerId[]): void {
    if (homes.length === this.#homes.size && homes.every(id => this.#homes.has(id))) return
    this.#homes = new Set(homes)
    this.#options.keep(this.#homes)
  }
}
