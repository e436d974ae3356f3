/** Packets that come later than so many others are lost: at 10,000 a second that is 0.2 s. */
const WINDOW = 2_048
const WORDS = WINDOW / 32

/**
 * Which packet numbers have come, so that none is taken twice; the bitmap turns instead of being shifted (RFC 6479). To be
 * asked before a packet is opened, and told after.
 */
export class ReplayWindow {
  readonly #seen = new Uint32Array(WORDS)
  #highest = -1

  get highest(): number {
    return this.#highest
  }

  mayTake(number: number): boolean {
    if (number > this.#highest) return true
    // The word of the highest number is only partly this round's, so a whole one less counts.
    if (number <= this.#highest - (WINDOW - 32)) return false
    return ((this.#seen[wordOf(number)] ?? 0) & bitOf(number)) === 0
  }

  take(number: number): void {
    if (number > this.#highest) {
      const from = Math.floor(this.#highest / 32)
      const to = Math.floor(number / 32)
      for (let word = Math.max(from + 1, to - WORDS + 1); word <= to; word++) this.#seen[word % WORDS] = 0
      this.#highest = number
    }
    const at = wordOf(number)
    this.#seen[at] = (this.#seen[at] ?? 0) | bitOf(number)
  }
}

function wordOf(number: number): number {
  return Math.floor(number / 32) % WORDS
}

function bitOf(number: number): number {
  return 1 << (number % 32)
}
