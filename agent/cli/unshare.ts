import { editConfig } from '../config/edit-config.ts'
import { withEntry } from '../config/written-config.ts'
import type { Arguments, CommandIo } from './command.ts'
import { configPathOf } from './config-path.ts'
import { EXIT_DONE, EXIT_FAILED } from './exit-code.ts'
import { line, printJson } from './output.ts'
import { serviceName } from './share.ts'
import { takeOver } from './take-over.ts'

export async function run(args: Arguments, io: CommandIo): Promise<number> {
  const name = serviceName(args.operand(0))
  const { changed } = await editConfig(configPathOf(args, io), written =>
    withEntry(written, 'services', name, undefined),
  )
  const running = changed && (await takeOver(args, io))
  if (args.flag('json')) printJson(io, { name, removed: changed, running })
  else if (changed) io.out(line(`${name} is not shared any more`))
  else io.err(line(`culvert: no service is called ${name}; "culvert status" lists them`))
  return changed ? EXIT_DONE : EXIT_FAILED
}
