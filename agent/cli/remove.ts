import { isPeerText } from '../config/name.ts'
import type { Arguments, CommandIo } from './command.ts'
import { EXIT_DONE } from './exit-code.ts'
import { asUsage, line, printJson } from './output.ts'
import { agentOf } from './running-agent.ts'

export async function run(args: Arguments, io: CommandIo): Promise<number> {
  const peer = args.operand(0)
  if (!isPeerText(peer)) throw asUsage(`"${peer.slice(0, 80)}" is no peer's name or id`)
  const agent = await agentOf(args, io)
  const { id, name } = await agent.remove(peer, io.signal)
  if (args.flag('json')) printJson(io, { id, name })
  else io.out(line(`${name} (${id}) is removed from the network; the others hear of it as they meet`))
  return EXIT_DONE
}
