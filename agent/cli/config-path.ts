import type { Arguments, CommandIo } from './command.ts'

export const DEFAULT_CONFIG = '/etc/culvert/agent.json'

/** The config file that a command line and its environment name. */
export function configPathOf(args: Arguments, io: Pick<CommandIo, 'env'>): string {
  return args.value('config') ?? (io.env.CULVERT_CONFIG || DEFAULT_CONFIG)
}
