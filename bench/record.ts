import { formatMatrices } from './matrix.ts'
import type { Outcome } from './result.ts'
import { formatTable } from './table.ts'

const BEGIN = '<!-- record: written by scripts/bench --record -->'
const END = '<!-- end of record -->'

/** Where and when a run was made, and of what. */
export interface RunFacts {
  readonly machine: string
  readonly date: string
  readonly node: string
  readonly commit: string | null
  readonly root: boolean
  readonly congestionControl: string
  /** How many processes wanted a processor, on average, in the minute before. */
  readonly load: number
}

/** Puts a run in the place of the recorded one in README's text. */
export function replaceRecord(readme: string, facts: RunFacts, outcomes: readonly Outcome[]): string {
  const [begin, end] = [readme.indexOf(BEGIN), readme.indexOf(END)]
  if (begin < 0 || end < begin) throw new Error(`the text has no place for a record, from ${BEGIN} to ${END}`)
  return `${readme.slice(0, begin)}${BEGIN}\n\n${formatRecord(facts, outcomes)}\n\n${readme.slice(end)}`
}

/** A table of all that stands for itself, then the comparison of programs on lines. */
export function formatOutcomes(outcomes: readonly Outcome[], between = ''): string {
  const compared = outcomes.filter(outcome => 'point' in outcome)
  const rest = outcomes.filter(outcome => !('point' in outcome))
  return [formatTable(rest), ...(compared.length > 0 ? [between, formatMatrices(compared)] : [])]
    .filter(part => part !== '')
    .join('\n\n')
}

function formatRecord(facts: RunFacts, outcomes: readonly Outcome[]): string {
  const { machine, date, node, commit, congestionControl, load } = facts
  const budgets = outcomes.filter(outcome => 'ok' in outcome && outcome.ok !== null)
  const misses = budgets.filter(outcome => 'ok' in outcome && !outcome.ok)
  const missing = outcomes.filter(outcome => 'skipped' in outcome)
  return [
    `## ${date.slice(0, 10)}, commit ${commit ?? 'unknown'}`,
    `${machine}; Node ${node}; the kernel's TCP uses ${congestionControl}; load before the run ${load.toFixed(1)}.\n` +
      `${budgets.length - misses.length} of ${budgets.length} budgets are held; not measured: ${missing.length}.`,
    formatOutcomes(outcomes, '![Rates by line and program](rates.svg)'),
  ].join('\n\n')
}
