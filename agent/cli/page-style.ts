import { type PageStyle, PLAIN_PAGE } from '../control/text-table.ts'
import type { CommandIo } from './command.ts'

/** Terminals that do not tell their width are taken to be as wide as the first ones. */
const WIDTH_DEFAULT = 80

/** How a page is shown on standard output: as wide as the terminal, in colours unless https://no-color.org says no. */
export function pageStyle({ env }: Pick<CommandIo, 'env'>): PageStyle {
  const { isTTY, columns } = process.stdout
  if (!isTTY) return PLAIN_PAGE
  return { width: columns || WIDTH_DEFAULT, colour: !env.NO_COLOR && env.TERM !== 'dumb' }
}
