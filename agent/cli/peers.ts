import { formatPeers } from '../control/format-status.ts'
import type { Arguments, CommandIo } from './command.ts'
import { EXIT_DONE } from './exit-code.ts'
import { printJson } from './output.ts'
import { pageStyle } from './page-style.ts'
import { agentOf } from './running-agent.ts'

export async function run(args: Arguments, io: CommandIo): Promise<number> {
  const agent = await agentOf(args, io)
  const { peers } = await agent.status(io.signal)
  if (args.flag('json')) printJson(io, peers)
  else
    io.out(peers.length > 0 ? formatPeers(peers, pageStyle(io)) : 'no peers yet: add them to "peers" in the config\n')
  return EXIT_DONE
}
