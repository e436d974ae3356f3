import { formatStatus } from '../control/format-status.ts'
import type { AgentStatus } from '../control/status.ts'
import type { Arguments, CommandIo } from './command.ts'
import { EXIT_DONE } from './exit-code.ts'
import { printJson } from './output.ts'
import { agentOf } from './running-agent.ts'

/** Clears a terminal and goes to its first corner (ECMA-48 ED, CUP). */
const CLEAR = '\u001b[2J\u001b[H'

export async function run(args: Arguments, io: CommandIo): Promise<number> {
  const agent = await agentOf(args, io)
  const show = (status: AgentStatus) => {
    if (args.flag('json')) printJson(io, status)
    else io.out(formatStatus(status))
  }
  if (!args.flag('watch')) {
    show(await agent.status(io.signal))
    return EXIT_DONE
  }
  const clears = process.stdout.isTTY && !args.flag('json')
  for await (const status of agent.watchStatus(io.signal)) {
    if (clears) io.out(CLEAR)
    show(status)
  }
  return EXIT_DONE
}
