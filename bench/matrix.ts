import { figure } from './figure.ts'
import { alignTable } from './markdown-table.ts'
import type { Outcome, Point, Result } from './result.ts'

/** Programs by lines, one Markdown table for each figure. */
export function formatMatrices(outcomes: readonly Outcome[]): string {
  return FIGURES.map(([name, title]) => formatMatrix(outcomes, name, title))
    .filter(table => table !== '')
    .join('\n\n')
}

const FIGURES = [
  ['rate', 'Rate of one stream up, Mbit/s'],
  ['cpu', 'CPU of both ends, s/GB'],
  ['round trip', 'Idle round trip of 64 bytes, p50, ms'],
  ['memory', 'Greatest RSS of a process, MB'],
] as const satisfies readonly (readonly [Point['figure'], string])[]

/** The results that are a point of this figure. */
export function pointsOf(outcomes: readonly Outcome[], name: Point['figure']): readonly (Result & { point: Point })[] {
  return outcomes.flatMap(outcome =>
    'point' in outcome && outcome.point?.figure === name ? [{ ...outcome, point: outcome.point }] : [],
  )
}

function formatMatrix(outcomes: readonly Outcome[], name: Point['figure'], title: string): string {
  const points = pointsOf(outcomes, name)
  if (points.length === 0) return ''
  const lines = [...new Set(points.map(({ point }) => point.line))]
  const programs = [...new Set(points.map(({ point }) => point.program))]
  const cell = (program: string, line: string) => {
    const found = points.find(({ point }) => point.program === program && point.line === line)
    return found ? figure(found.value) : '-'
  }
  return alignTable([
    [title, ...lines],
    ...programs.map(program => [program, ...lines.map(line => cell(program, line))]),
  ])
}
