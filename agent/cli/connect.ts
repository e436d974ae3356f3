import { CulvertError } from '../../common/errors.ts'
import { parsePeerService } from '../config/name.ts'
import type { Arguments, CommandIo } from './command.ts'
import { asUsage } from './output.ts'
import { agentOf } from './running-agent.ts'
import { joinStandardStreams } from './standard-streams.ts'

export async function run(args: Arguments, io: CommandIo): Promise<number> {
  const written = args.operand(0)
  const to = parsePeerService(written)
  if (!to) throw asUsage(`"${written.slice(0, 80)}" is not PEER/SERVICE, for example laptop/ssh`)
  const agent = await agentOf(args, io)
  const stream = await agent.connect(to.peer, to.service, io.signal)
  try {
    return await joinStandardStreams(stream, io.signal)
  } catch (thrown) {
    // The agent was there a moment ago: that it is gone now is not "no agent running".
    if (!(thrown instanceof CulvertError) || thrown.code !== 'agent-not-running') throw thrown
    throw new CulvertError('session-closed', `the agent stopped while ${written} was open`, { cause: thrown })
  }
}
