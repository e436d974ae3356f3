import type { Arguments, CommandIo } from './command.ts'
import { COMMANDS, findCommand, noSuchCommand } from './commands.ts'
import { EXIT_DONE } from './exit-code.ts'
import { commandHelp, overview } from './help-text.ts'
import { asUsage } from './output.ts'

export async function run(args: Arguments, io: CommandIo): Promise<number> {
  const word = args.operand(0)
  const command = word === '' ? undefined : findCommand(word)
  if (word !== '' && !command) throw asUsage(noSuchCommand(word))
  io.out(command ? commandHelp(command) : overview(COMMANDS))
  return EXIT_DONE
}
