/** Ours: a device that is not trusted yet tries some ten times a minute; who guesses tries without end. */
export const GUESSES_PER_PERIOD = 20
const PERIOD_MS = 60_000
/** Who tries from more addresses than this has more to spend than we can count. */
const MAX_SOURCES = 1_024

interface Source {
  since: number
  count: number
}

/** Proofs that came to nothing, by where they came from: beyond a number in a minute, nothing more from there is looked at. */
export class GuessGate {
  readonly #sources = new Map<string, Source>()

  mayTry(source: string, now: number): boolean {
    const known = this.#sources.get(source)
    return known === undefined || known.count < GUESSES_PER_PERIOD || now - known.since >= PERIOD_MS
  }

  failed(source: string, now: number): void {
    const known = this.#sources.get(source)
    if (known && now - known.since < PERIOD_MS) {
      known.count++
      return
    }
    this.#sources.delete(source)
    this.#sources.set(source, { since: now, count: 1 })
    // In the order in which their periods began.
    const [oldest] = this.#sources.keys()
    if (oldest !== undefined && this.#sources.size > MAX_SOURCES) this.#sources.delete(oldest)
  }
}
