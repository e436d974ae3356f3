/** What some round trips took, in ms with a precision of 0.01. */
export interface RoundTrips {
  readonly min: number
  readonly avg: number
  readonly p50: number
  readonly max: number
}

/** Null where nothing was measured. */
export function roundTrips(samplesMs: readonly number[]): RoundTrips | null {
  const sorted = samplesMs.toSorted((a, b) => a - b)
  const at = (index: number) => rounded(sorted[index] ?? 0)
  if (sorted.length === 0) return null
  const sum = sorted.reduce((total, sample) => total + sample, 0)
  return {
    min: at(0),
    avg: rounded(sum / sorted.length),
    p50: at(Math.ceil(sorted.length / 2) - 1),
    max: at(sorted.length - 1),
  }
}

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100
}
