import type { Budget, Outcome, Result } from './result.ts'

const HEAD = ['row', 'measure', 'value', 'min-max', 'baseline', 'ratio', 'budget', 'ok'] as const

/** The results as a Markdown table with aligned columns. */
export function formatTable(outcomes: readonly Outcome[]): string {
  const lines = [HEAD, ...outcomes.map(cells)]
  const widths = HEAD.map((_, column) => Math.max(...lines.map(line => line[column]?.length ?? 0)))
  const text = lines.map(line => `| ${widths.map((width, i) => (line[i] ?? '').padEnd(width)).join(' | ')} |`)
  const rule = `|${widths.map(width => '-'.repeat(width + 2)).join('|')}|`
  return [text[0], rule, ...text.slice(1)].join('\n')
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
    ratio === null ? '' : ratio.toFixed(2),
    budget ? formatBudget(budget, unit) : '',
    ok === null ? '' : ok ? 'yes' : 'NO',
  ]
}

function formatBudget({ of, atLeast, atMost }: Budget, unit: Result['unit']): string {
  const bound = atLeast === undefined ? `<= ${atMost}` : `>= ${atLeast}`
  return of === 'ratio' ? `ratio ${bound}` : `${bound} ${unit}`
}

/** Three digits that count. */
function figure(value: number): string {
  if (!Number.isFinite(value)) return '-'
  const size = Math.abs(value)
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3)
}
