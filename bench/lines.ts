import type { LineOptions } from '../test/lab/lab-options.ts'

/** A line between two sites, whose own lines share its delay and its loss. */
export interface Line {
  /** Of the row. */
  readonly name: string
  /** In tables and plots: rate, round trip, loss one way. */
  readonly label: string
  readonly rttMs: number
  readonly lossPct: number
  readonly rateMbit?: number
}

export const LINES = [
  { name: 'line-clean', label: 'plain veth', rttMs: 0, lossPct: 0 },
  { name: 'line-40ms', label: '40 ms', rttMs: 40, lossPct: 0 },
  { name: 'line-80ms-lossy', label: '80 ms, 0.2 %', rttMs: 80, lossPct: 0.2 },
  { name: 'line-100m', label: '100 Mbit/s, 16 ms, 0.1 %', rttMs: 16, lossPct: 0.1, rateMbit: 100 },
  { name: 'line-8m', label: '8 Mbit/s, 90 ms, 2 %', rttMs: 90, lossPct: 2, rateMbit: 8 },
] as const satisfies readonly Line[]

/** What the outside line of each of the two sites is to be like. */
export function halfOf({ rttMs, lossPct, rateMbit }: Line): LineOptions {
  return {
    ...(rttMs > 0 ? { delayMs: rttMs / 4, lossPct: lossPct / 2 } : {}),
    ...(rateMbit === undefined ? {} : { rateMbit }),
  }
}
