import { figure } from './figure.ts'
import { pointsOf } from './matrix.ts'
import type { Outcome } from './result.ts'

const WIDTH = 900
const LABEL = 210
const VALUE = 110
const BAR = 16
const GAP = 4
const TITLE = 34
const OURS = '#0b6e4f'
const OTHERS = '#9aa5b1'
const BARE = '#c9d1d9'

/** Who carried how much over each line, as an SVG image: a panel for each line, a bar for each program, widest first. */
export function plotRates(outcomes: readonly Outcome[]): string {
  const points = pointsOf(outcomes, 'rate')
  const lines = [...new Set(points.map(({ point }) => point.line))]
  const panels: string[] = []
  let top = 0
  for (const line of lines) {
    const bars = points
      .filter(({ point }) => point.line === line)
      .map(({ point, value }) => ({ program: point.program, value: Number.isFinite(value) ? value : 0 }))
      .toSorted((a, b) => b.value - a.value)
    panels.push(
      text(10, top + 23, `${line}, Mbit/s`, 'font-weight="bold"'),
      ...bars.map(drawBar(top + TITLE, bars[0]?.value ?? 0)),
    )
    top += TITLE + bars.length * (BAR + GAP)
  }
  const height = top + 12
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="12">`,
    '<title>Rates by line and program</title>',
    `<rect width="${WIDTH}" height="${height}" fill="white"/>`,
    ...panels,
    '</svg>',
    '',
  ].join('\n')
}

function drawBar(top: number, greatest: number) {
  return ({ program, value }: { readonly program: string; readonly value: number }, i: number): string => {
    const y = top + i * (BAR + GAP)
    const width = greatest > 0 ? (value / greatest) * (WIDTH - LABEL - VALUE) : 0
    return [
      text(LABEL - 8, y + 12, program, 'text-anchor="end"'),
      `<rect x="${LABEL}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" fill="${colourOf(program)}"/>`,
      text(LABEL + width + 6, y + 12, figure(value)),
    ].join('')
  }
}

function colourOf(program: string): string {
  if (program.startsWith('culvert')) return OURS
  return /^(bare|iperf3)/.test(program) ? BARE : OTHERS
}

function text(x: number, y: number, words: string, more = ''): string {
  const safe = words.replace(/&/g, '&amp;').replace(/</g, '&lt;')
  return `<text x="${x.toFixed(1)}" y="${y}" fill="#1f2933" ${more}>${safe}</text>`
}
