import { plainText } from '../../common/wire/plain-text.ts'

/** How much a word matters to the eye. */
export type Tone = 'plain' | 'head' | 'good' | 'fair' | 'bad' | 'quiet'

/** Select graphic rendition (ECMA-48 §8.3.117): the eight colours that every terminal lets its owner choose. */
const CODES: Readonly<Record<Tone, string>> = { plain: '', head: '1', good: '32', fair: '33', bad: '31', quiet: '2' }

/** What a page is made for. */
export interface PageStyle {
  /** Columns; infinity where nobody looks, as in a pipe: then nothing is left out and nothing wrapped. */
  readonly width: number
  readonly colour: boolean
}

export const PLAIN_PAGE: PageStyle = { width: Number.POSITIVE_INFINITY, colour: false }

export interface Cell {
  readonly text: string
  readonly tone: Tone
}

export interface Column {
  readonly title: string
  /** Columns are left out in this order, the lowest first, until the rest fits; those without one stay. */
  readonly dispensable?: number
}

/** Names and reasons come from others: none of them may drive the terminal or forge a row. */
export function plain(text: string): string {
  return plainText(text).slice(0, 300)
}

export function paint(text: string, tone: Tone, { colour }: PageStyle): string {
  return colour && CODES[tone] !== '' && text !== '' ? `\u001b[${CODES[tone]}m${text}\u001b[0m` : text
}

/**
 * One line per row, the columns as wide as their widest cell and two spaces apart. On a narrow page columns that can be
 * spared are left out; where that is not enough, each row becomes a few lines. Empty when there are no rows. `notes` are
 * lines below a row.
 */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly (Cell | string)[])[],
  style: PageStyle = PLAIN_PAGE,
  notes: (row: number) => string = () => '',
): string {
  if (rows.length === 0) return ''
  const cells = rows.map(row => row.map(cellOf))
  const shown = fitting(columns, cells, style.width)
  if (!shown) return stacked(columns, cells, style, notes)
  const widths = shown.map(index => widthOf(columns, cells, index))
  const lay = (row: readonly Cell[]) =>
    shown
      .map((index, position) => {
        const { text, tone } = row[index] ?? { text: '', tone: 'plain' }
        const width = widths[position] ?? 0
        const last = position === shown.length - 1 || shown.slice(position + 1).every(later => !row[later]?.text)
        const gap = ' '.repeat(Math.max(0, width - text.length))
        return `${paint(text, tone, style)}${last ? '' : gap}`
      })
      .join('  ')
      .trimEnd()
  const head = columns.map(({ title }): Cell => ({ text: title, tone: 'head' }))
  return `${lay(head)}\n${cells.map((row, i) => `${lay(row)}\n${notes(i)}`).join('')}`
}

function cellOf(cell: Cell | string): Cell {
  const { text, tone } = typeof cell === 'string' ? { text: cell, tone: 'plain' as const } : cell
  return { text: plain(text), tone }
}

function widthOf(columns: readonly Column[], cells: readonly (readonly Cell[])[], index: number): number {
  return Math.max(columns[index]?.title.length ?? 0, ...cells.map(row => row[index]?.text.length ?? 0))
}

/** The columns that fit side by side; undefined when not even those that must be there do. */
function fitting(
  columns: readonly Column[],
  cells: readonly (readonly Cell[])[],
  width: number,
): readonly number[] | undefined {
  let shown = columns.map((_, index) => index)
  const total = () => shown.reduce((sum, index) => sum + widthOf(columns, cells, index) + 2, -2)
  while (total() > width) {
    const [spare] = shown
      .filter(index => columns[index]?.dispensable !== undefined)
      .toSorted((a, b) => (columns[a]?.dispensable ?? 0) - (columns[b]?.dispensable ?? 0))
    if (spare === undefined) return undefined
    shown = shown.filter(index => index !== spare)
  }
  return shown
}

/** What need not have a line of its own. */
const NOTHING: ReadonlySet<string> = new Set(['', '-', '0', '0 B'])

/** The first cell on a line of its own, then one line for each other that says something. */
function stacked(
  columns: readonly Column[],
  cells: readonly (readonly Cell[])[],
  style: PageStyle,
  notes: (row: number) => string,
): string {
  const width = Math.max(...columns.slice(1).map(({ title }) => title.length))
  const blocks = cells.map((row, i) => {
    const [first, ...rest] = row
    const lines = rest.flatMap(({ text, tone }, at) => {
      const title = columns[at + 1]?.title.toLowerCase() ?? ''
      return NOTHING.has(text) ? [] : [`  ${title.padEnd(width)}  ${paint(text, tone, style)}\n`]
    })
    return `${paint(first?.text ?? '', 'head', style)}\n${lines.join('')}${notes(i)}`
  })
  return blocks.join('')
}
