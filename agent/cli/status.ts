import { formatStatus } from '../control/format-status.ts'
import type { Arguments, CommandIo } from './command.ts'
import { showPage } from './live-page.ts'

export function run(args: Arguments, io: CommandIo): Promise<number> {
  return showPage({ words: formatStatus, json: status => status }, args, io)
}
