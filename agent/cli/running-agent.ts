import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { CulvertError, reasonOf, systemCodeOf } from '../../common/errors.ts'
import { basicsOf, SYSTEM_CONTROL_SOCKET, syntaxFaultOf, usualControlSocket } from '../config/config-basics.ts'
import { formatFault } from '../config/config-fault.ts'
import { type ControlClient, createControlClient } from '../control/control-client.ts'
import type { Arguments, CommandIo } from './command.ts'
import { configPathOf, DEFAULT_CONFIG } from './config-path.ts'
import { line } from './output.ts'

/** Without `err` a config that is no JSON is passed over in silence. */
type AgentIo = Pick<CommandIo, 'env'> & Partial<Pick<CommandIo, 'err'>>

/** The running agent that a command line and its environment name. */
export async function agentOf(args: Arguments, io: AgentIo): Promise<ControlClient> {
  return createControlClient(await socketPathOf(args, io))
}

/** Where the running agent listens that a command line and its environment name. */
export async function socketPathOf(args: Arguments, io: AgentIo): Promise<string> {
  const named = args.value('socket')
  if (named !== undefined) return resolve(named)
  if (args.value('config') === undefined && io.env.CULVERT_SOCKET) return resolve(io.env.CULVERT_SOCKET)
  const path = configPathOf(args, io)
  try {
    const text = await readFile(path, 'utf8')
    const basics = basicsOf(text, path)
    if (basics) return basics.controlSocket
    const fault = syntaxFaultOf(text)
    // An agent may run with what stood there before.
    if (fault) io.err?.(line(`${path}: ${formatFault(fault)}`))
    return usualControlSocket(path)
  } catch (thrown) {
    // Not everyone may read the config; whoever names one wants that one.
    if (args.value('config') === undefined && path === DEFAULT_CONFIG) return SYSTEM_CONTROL_SOCKET
    const missing = systemCodeOf(thrown) === 'ENOENT'
    const remedy = missing ? 'name another with --config' : "name the agent's socket with --socket"
    const message = `${path}: cannot be read (${reasonOf(thrown)}); ${remedy}`
    throw new CulvertError('bad-config', message, { cause: thrown })
  }
}
