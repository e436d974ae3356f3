import { VERSION } from '../version.ts'
import type { Arguments, CommandIo } from './command.ts'
import { EXIT_DONE } from './exit-code.ts'
import { printJson } from './output.ts'

export async function run(args: Arguments, io: CommandIo): Promise<number> {
  if (args.flag('json')) printJson(io, { version: VERSION, node: process.versions.node })
  else io.out(`culvert ${VERSION}\n`)
  return EXIT_DONE
}
