import { readFile } from 'node:fs/promises'
import { createLog } from '../../common/platform/log.ts'
import { basicsOf, type ConfigBasics } from '../config/config-basics.ts'
import { loadOrCreateIdentity } from '../identity/identity.ts'
import type { Arguments, CommandIo } from './command.ts'
import { configPathOf } from './config-path.ts'
import { EXIT_DONE } from './exit-code.ts'
import { printJson } from './output.ts'

export async function run(args: Arguments, io: CommandIo): Promise<number> {
  const { name, stateDir } = await basicsAt(configPathOf(args, io))
  const log = createLog({ level: 'warn', style: 'words', write: io.err })
  const { id } = await loadOrCreateIdentity(stateDir, { log })
  if (args.flag('json')) printJson(io, { id, name })
  else io.out(`${id}\n`)
  return EXIT_DONE
}

/** The other side needs the id before the config here is finished, so faults elsewhere in it do not matter. */
async function basicsAt(path: string): Promise<Pick<ConfigBasics, 'name' | 'stateDir'>> {
  const basics = await quickBasics(path)
  if (basics) return basics
  const { loadConfig } = await import('../config/load-config.ts')
  return (await loadConfig(path)).config
}

async function quickBasics(path: string): Promise<ConfigBasics | undefined> {
  try {
    return basicsOf(await readFile(path, 'utf8'), path)
  } catch {
    return undefined
  }
}
