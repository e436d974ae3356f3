/** What a gateway's clock showed, and when by ours. */
export interface EpochReading {
  /** Seconds since the gateway began to keep mappings. */
  readonly epochS: number
  /** Milliseconds, monotonic. */
  readonly at: number
}

/** RFC 6887 §8.5: clocks may differ by a sixteenth, and two seconds for delays and rounding. */
export function isSamePcpEpoch(before: EpochReading, after: EpochReading): boolean {
  const serverS = after.epochS - before.epochS
  const clientS = (after.at - before.at) / 1000
  if (serverS < -1) return false
  return clientS + 2 >= serverS - serverS / 16 && serverS + 2 >= clientS - clientS / 16
}

/** RFC 6886 §3.6: a clock that shows less than seven eighths of the time that passed, less two seconds, began anew. */
export function isSameNatPmpEpoch(before: EpochReading, after: EpochReading): boolean {
  const expectedS = before.epochS + ((after.at - before.at) / 1000) * (7 / 8)
  return after.epochS >= expectedS - 2
}

/** Follows one gateway's clock: tells once when it began anew, which means that the gateway forgot its mappings. */
export class EpochWatch {
  readonly #isSame: (before: EpochReading, after: EpochReading) => boolean
  #last: EpochReading | undefined
  #restarted = false

  constructor(isSame: (before: EpochReading, after: EpochReading) => boolean) {
    this.#isSame = isSame
  }

  read(reading: EpochReading): void {
    if (this.#last && !this.#isSame(this.#last, reading)) this.#restarted = true
    this.#last = reading
  }

  /** Whether the gateway lost its state since this was last asked. */
  takeRestart(): boolean {
    const restarted = this.#restarted
    this.#restarted = false
    return restarted
  }
}
