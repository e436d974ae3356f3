import type { Measured, NotMeasured } from './result.ts'

/** A row of the budget table: one or more measures taken in one setting. */
export interface Row {
  readonly name: string
  /** What can only be measured in network namespaces. */
  readonly needsRoot: boolean
  /** How long it takes about, in seconds. */
  readonly seconds: number
  readonly run: () => Promise<readonly (Measured | NotMeasured)[]>
}
