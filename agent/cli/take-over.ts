import { CulvertError } from '../../common/errors.ts'
import type { Arguments, CommandIo } from './command.ts'
import { agentOf } from './running-agent.ts'

/** Has the running agent read its config again; false when none runs, which then reads it at its start. */
export async function takeOver(args: Arguments, io: CommandIo): Promise<boolean> {
  try {
    await (await agentOf(args, io)).reload(io.signal)
    return true
  } catch (thrown) {
    if (thrown instanceof CulvertError && thrown.code === 'agent-not-running') return false
    throw thrown
  }
}
