// The relay and the agent know nothing of each other; that one binary holds both is known here alone.
import { checkRelayConfig, runRelay } from '../../relay/main.ts'
import type { Arguments, CommandIo } from './command.ts'
import { EXIT_DONE } from './exit-code.ts'

export { checkRelayConfig }

export async function run(args: Arguments, io: CommandIo): Promise<number> {
  const configFile = args.value('config')
  const command = { stdout: io.out, stderr: io.err, ...(configFile === undefined ? {} : { configFile }) }
  await runRelay(command, io.signal)
  return EXIT_DONE
}
