import { formatStatus } from '../control/format-status.ts'
import type { Arguments, CommandIo } from './command.ts'
import { lastUpdateLine } from './last-update.ts'
import { showPage } from './live-page.ts'

export async function run(args: Arguments, io: CommandIo): Promise<number> {
  const update = args.flag('json') ? '' : await lastUpdateLine()
  const below = update === '' ? '' : `\n${update}`
  return showPage(
    { words: (status, style) => `${formatStatus(status, style)}${below}`, json: status => status },
    args,
    io,
  )
}
