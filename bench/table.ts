import { figure } from './figure.ts'
import { alignTable } from './markdown-table.ts'
import type { Budget, Outcome, Result } from './result.ts'

const HEAD = ['row', 'measure', 'value', 'min-max', 'baseline', 'ratio', 'budget', 'ok'] as const

const REASON_LENGTH = 100

/** The results as a Markdown table. */
export function formatTable(outcomes: readonly Outcome[]): string {
  return alignTable([HEAD, ...outcomes.map(cells)])
}

function cells(outcome: Outcome): readonly string[] {
  if ('skipped' in outcome) return [outcome.row, `skipped: ${oneLine(outcome.skipped)}`]
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

/** A reason may quote what a program wrote; `results.json` has all of it. */
function oneLine(reason: string): string {
  const [first = ''] = reason.split('\n')
  return (first.length > REASON_LENGTH ? `${first.slice(0, REASON_LENGTH)}...` : first).replaceAll('|', '/')
}

function figureOrNothing(ratio: number | null): string {
  return ratio === null ? '' : ratio.toFixed(2)
}

function formatBudget({ of, atLeast, atMost }: Budget, unit: Result['unit']): string {
  const bound = atLeast === undefined ? `<= ${atMost}` : `>= ${atLeast}`
  return of === 'ratio' ? `ratio ${bound}` : `${bound} ${unit}`
}
