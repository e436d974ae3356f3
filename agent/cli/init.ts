import { hostname } from 'node:os'
import { dirname, resolve } from 'node:path'
import { CulvertError, reasonOf, systemCodeOf } from '../../common/errors.ts'
import { makeDirectory } from '../../common/platform/atomic-file.ts'
import { createLog } from '../../common/platform/log.ts'
import { usualStateDir } from '../config/config-basics.ts'
import { formatFault } from '../config/config-fault.ts'
import { nameFromHost } from '../config/name.ts'
import { parseConfig } from '../config/parse-config.ts'
import { createFile } from '../identity/create-file.ts'
import { exists } from '../identity/exists.ts'
import { loadOrCreateIdentity } from '../identity/identity.ts'
import type { Arguments, CommandIo } from './command.ts'
import { configPathOf, DEFAULT_CONFIG } from './config-path.ts'
import { EXIT_DONE } from './exit-code.ts'
import { asUsage, line, printJson } from './output.ts'

/** No secret is in it, but it tells whom we trust: the owner writes, the service's group reads, others see nothing. */
const CONFIG_MODE = 0o640

export async function run(args: Arguments, io: CommandIo): Promise<number> {
  const path = resolve(configPathOf(args, io))
  const text = configText(path, args.value('name') ?? nameFromHost(hostname()), args.values('relay'))
  const parsed = parseConfig(text, path)
  if (!parsed.ok) throw asUsage(parsed.faults.map(formatFault).join('\n'))
  if (await exists(path)) throw alreadyThere(path)
  const { name, stateDir } = parsed.config
  const log = createLog({ level: 'warn', style: 'words', write: io.err })
  // First the identity: without it a config would be in the way of the next try.
  const { id } = await loadOrCreateIdentity(stateDir, { log })
  await writeConfig(path, text)
  for (const warning of parsed.warnings) io.err(line(`${path}: warning: ${formatFault(warning)}`))
  const entry = { [name]: { id } }
  if (args.flag('json')) printJson(io, { id, name, config: path, stateDir, peers: entry })
  else io.out(summary(path, name, id, stateDir, parsed.config.relays.length > 0))
  return EXIT_DONE
}

function configText(path: string, name: string, relays: readonly string[]): string {
  const config = {
    name,
    stateDir: usualStateDir(path),
    relays: relays.map(relayOption),
    peers: {},
    services: {},
    forwards: [],
  }
  return `${JSON.stringify(config, null, 2)}\n`
}

/** `URL#ID`, as `culvert relay` tells them; the id may be left out where a certificate authority vouches. */
function relayOption(written: string): { readonly url: string; readonly id?: string } {
  const at = written.indexOf('#')
  return at < 0 ? { url: written } : { url: written.slice(0, at), id: written.slice(at + 1) }
}

async function writeConfig(path: string, text: string): Promise<void> {
  try {
    await makeDirectory(dirname(path), 0o755)
    if (!(await createFile(path, text, CONFIG_MODE))) throw alreadyThere(path)
  } catch (thrown) {
    if (thrown instanceof CulvertError) throw thrown
    const denied = systemCodeOf(thrown) === 'EACCES'
    const remedy = denied ? 'run it with sudo, or name a file of your own with --config FILE' : 'check the disk'
    throw new CulvertError('io', `cannot write ${path} (${reasonOf(thrown)}); ${remedy}`, { cause: thrown })
  }
}

function alreadyThere(path: string): CulvertError {
  return asUsage(`${path} is already there and is kept; edit it, remove it first, or name another with --config FILE`)
}

function summary(path: string, name: string, id: string, stateDir: string, hasRelay: boolean): string {
  const option = path === DEFAULT_CONFIG ? '' : ` --config ${path}`
  const relay = hasRelay
    ? ''
    : 'No relay is set, and without one no peer can be found yet. Add one to "relays" in the config.\n\n'
  return `Wrote ${path}; the identity is in ${stateDir}.

This machine is "${name}":
  ${id}

On the other machine, put this into "peers" of its config:
  ${JSON.stringify(name)}: { "id": "${id}" }
And its own line, which "culvert id" there gives, into "peers" of this one.

${relay}Then run:
  culvert agent${option}
`
}
