/** The line, or what else slows a stream down, is another one by then. */
const KEEP_MS = 10 * 60_000
/** Streams that may have begun so and have not shown that they need it: most streams are small. */
const MAX_AHEAD = 2

/**
 * The window that a long stream of this session needed, for the next ones to begin with: it takes many round trips to
 * find out, and a sender that waits for credit meanwhile makes TCP and UDX forget how fast the line is.
 */
export class KnownWindow {
  #bytes = 0
  #at = Number.NEGATIVE_INFINITY
  readonly #ahead = new Set<object>()

  /** What a new stream may begin with; 0: no more than any other. `ended` must follow. */
  begin(stream: object, now: number): number {
    if (this.#ahead.size >= MAX_AHEAD || now - this.#at > KEEP_MS) return 0
    this.#ahead.add(stream)
    return this.#bytes
  }

  /** A stream has shown that it needs so much. */
  shown(stream: object, bytes: number, now: number): void {
    this.#ahead.delete(stream)
    if (bytes < this.#bytes && now - this.#at <= KEEP_MS) return
    this.#bytes = bytes
    this.#at = now
  }

  ended(stream: object): void {
    this.#ahead.delete(stream)
  }

  /** The network is another one. */
  forget(): void {
    this.#bytes = 0
    this.#at = Number.NEGATIVE_INFINITY
  }
}
