import { figure } from './figure.ts'
import { alignTable } from './markdown-table.ts'
import type { Budget, Outcome, Result } from './result.ts'

const HEAD = ['row', 'measure', 'value', 'min-max', 'baseline', 'ratio', 'budget', 'ok'] as const

/** The results as a Markdown table. */
export function formatTable(outcomes: readonly Outcome[]): string {
  return alignTable([HEAD, ...outcomes.map(cells)])
}

function cells(outcome: Outcome): readonly string[] {
  if ('skipped' in outcome) return [outcome.row, `skipped: ${outcome.skipped}`]
  const { row, measure, unit, value, low, high, baseline, ratio, budget, ok } = outcome
  return [
    row,
    measure,
    `${figure(value)} ${unit}`,
    low === high ? '' : `${figure(low)}-${figure(high)}`,
    baseline ? `${figure(baseline.value)} (${baseline.name})` : '',
    figureOrNothing(ratio),
    budget ? formatBudget(budget, unit) : '',
    ok === null ? '' : ok ? 'yes' : 'NO',
  ]
}

function figureOrNothing(ratio: number | null): string {
  return ratio === null ? '' : ratio.toFixed(2)
}

function formatBudget({ of, atLeast, atMost }: Budget, unit: Result['unit']): string {
  const bound = atLeast === undefined ? `<= ${atMost}` : `>= ${atLeast}`
  return of === 'ratio' ? `ratio ${bound}` : `${bound} ${unit}`
}
