import { median, quotients } from './statistics.ts'

export type Unit = 'Mbit/s' | 'CPU s/GB' | 'ms' | 's' | 'MB' | 'kB' | '% of a core' | 'MB/day' | 'bytes' | 'runs'

/** What a row of the table must hold. `ratio` = value by baseline, `value` = the value itself. */
export interface Budget {
  readonly of: 'ratio' | 'value'
  readonly atLeast?: number
  readonly atMost?: number
}

/** What is compared over several lines: a place in a table of programs by lines, and in the plot. */
export interface Point {
  readonly figure: 'rate' | 'cpu' | 'round trip' | 'memory'
  readonly line: string
  readonly program: string
}

/** One line of the table and of `results.json`. */
export interface Result {
  readonly row: string
  readonly measure: string
  readonly unit: Unit
  /** Median, least and greatest. */
  readonly value: number
  readonly low: number
  readonly high: number
  readonly baseline: { readonly name: string; readonly value: number } | null
  /** The median of the ratios of each round. */
  readonly ratio: number | null
  readonly budget: Budget | null
  /** Null where nothing is budgeted. */
  readonly ok: boolean | null
  readonly point?: Point
}

/** A row that was not measured, and why. */
export interface Skipped {
  readonly row: string
  readonly skipped: string
}

export type Outcome = Result | Skipped

/** Outcomes without the row's name. */
export type Measured = Omit<Result, 'row'>
export type NotMeasured = Omit<Skipped, 'row'>

export interface Comparison {
  readonly measure: string
  readonly unit: Unit
  readonly values: readonly number[]
  readonly baseline?: { readonly name: string; readonly values: readonly number[] }
  readonly budget?: Budget
  readonly point?: Point
}

/** Sums up measurements; with as many of the baseline as of the candidate they are compared round by round. */
export function measured({ measure, unit, values, baseline, budget, point }: Comparison): Measured {
  const value = median(values)
  const ratio = baseline ? median(quotients(values, baseline.values)) : null
  return {
    measure,
    unit,
    value,
    low: Math.min(...values),
    high: Math.max(...values),
    baseline: baseline ? { name: baseline.name, value: median(baseline.values) } : null,
    ratio,
    budget: budget ?? null,
    ok: budget ? holds(budget, budget.of === 'ratio' ? (ratio ?? Number.NaN) : value) : null,
    ...(point ? { point } : {}),
  }
}

function holds({ atLeast, atMost }: Budget, figure: number): boolean {
  return figure >= (atLeast ?? Number.NEGATIVE_INFINITY) && figure <= (atMost ?? Number.POSITIVE_INFINITY)
}
