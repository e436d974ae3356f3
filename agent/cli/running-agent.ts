import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { CulvertError, reasonOf, systemCodeOf } from '../../common/errors.ts'
import { basicsOf, SYSTEM_CONTROL_SOCKET } from '../config/config-basics.ts'
import { type ControlClient, createControlClient } from '../control/control-client.ts'
import type { Arguments, CommandIo } from './command.ts'
import { configPathOf } from './config-path.ts'

/** The running agent that a command line and its environment name. */
export async function agentOf(args: Arguments, io: Pick<CommandIo, 'env'>): Promise<ControlClient> {
  return createControlClient(await socketPathOf(args, io))
}

/** Where the running agent listens that a command line and its environment name. */
export async function socketPathOf(args: Arguments, io: Pick<CommandIo, 'env'>): Promise<string> {
  const named = args.value('socket')
  if (named !== undefined) return resolve(named)
  const config = args.value('config')
  if (config === undefined && io.env.CULVERT_SOCKET) return resolve(io.env.CULVERT_SOCKET)
  const path = configPathOf(args, io)
  try {
    return basicsOf(await readFile(path, 'utf8'), path)?.controlSocket ?? SYSTEM_CONTROL_SOCKET
  } catch (thrown) {
    // Not everyone may read the config; whoever names one wants that one.
    if (config === undefined) return SYSTEM_CONTROL_SOCKET
    const missing = systemCodeOf(thrown) === 'ENOENT'
    const remedy = missing ? 'name another with --config' : "name the agent's socket with --socket"
    const message = `${config}: cannot be read (${reasonOf(thrown)}); ${remedy}`
    throw new CulvertError('bad-config', message, { cause: thrown })
  }
}
