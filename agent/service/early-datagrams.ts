/** A burst of small ones, as a program sends when it starts; of the largest, one. */
const MAX_DATAGRAMS = 16
const MAX_BYTES = 64 * 1024

/** Datagrams that came before there was anybody to give them to: the first ones are kept, for with them all begins. */
export class EarlyDatagrams {
  #waiting: Buffer[] = []
  #bytes = 0

  /** False when it was given up. */
  push(bytes: Buffer): boolean {
    if (this.#waiting.length >= MAX_DATAGRAMS || this.#bytes + bytes.length > MAX_BYTES) return false
    this.#waiting.push(bytes)
    this.#bytes += bytes.length
    return true
  }

  takeAll(): readonly Buffer[] {
    const all = this.#waiting
    this.#waiting = []
    this.#bytes = 0
    return all
  }
}
