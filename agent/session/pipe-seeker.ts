import type { Clock, Timer } from '../../common/platform/clock.ts'

/** A direct path comes first, and then nothing need be asked; the second side asks only if the first found nothing. */
const FIRST_MS = { smaller: 3_000, larger: 8_000 } as const
const MOST_MS = 600_000

export interface PipeSeekerOptions {
  readonly clock: Clock
  /** Our peer id is the smaller one. */
  readonly smaller: boolean
  /** User bytes go over a relay, and no pipe is there. */
  readonly wanted: () => boolean
  /** Asks for one; true when it came. */
  readonly seek: () => Promise<boolean>
}

/** Gets user bytes off a relay that somebody pays for, where a peer would carry them. */
export class PipeSeeker {
  readonly #options: PipeSeekerOptions
  #timer: Timer | undefined
  #seeking = false
  #tries = 0

  constructor(options: PipeSeekerOptions) {
    this.#options = options
  }

  /** Paths or streams changed. */
  look(): void {
    const { clock, wanted, smaller } = this.#options
    if (!wanted()) {
      this.stop()
      this.#tries = 0
      return
    }
    if (this.#timer || this.#seeking) return
    const firstMs = smaller ? FIRST_MS.smaller : FIRST_MS.larger
    this.#timer = clock.after(Math.min(firstMs * 2 ** this.#tries, MOST_MS), () => {
      this.#timer = undefined
      if (wanted()) void this.#seek()
    })
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  async #seek(): Promise<void> {
    this.#seeking = true
    const found = await this.#options.seek()
    this.#seeking = false
    this.#tries = found ? 0 : Math.min(this.#tries + 1, 16)
    this.look()
  }
}
