import { type ConfigFault, formatFault } from '../config/config-fault.ts'
import { serviceOf } from '../config/installed-service.ts'
import { parseJsonText } from '../config/json-text.ts'
import { ConfigError, checkConfig, readConfigText } from '../config/load-config.ts'
import { ownIdFaults } from '../config/parse-config.ts'
import { isMeantForRelay } from '../config/relay-config.ts'
import { serviceFaults } from '../config/service-faults.ts'
import { readIdentity } from '../identity/identity.ts'
import type { Arguments, CommandIo } from './command.ts'
import { configPathOf } from './config-path.ts'
import { EXIT_DONE } from './exit-code.ts'
import { line, printJson } from './output.ts'

export async function run(args: Arguments, io: CommandIo): Promise<number> {
  const path = configPathOf(args, io)
  const result = await checkConfig(path)
  for (const warning of result.warnings) io.err(line(`${path}: warning: ${formatFault(warning)}`))
  if (!result.ok && (await isRelays(path))) {
    const more = await checkRelays(path)
    for (const warning of more) io.err(line(`${path}: warning: ${formatFault(warning)}`))
    const warnings = [...result.warnings, ...more]
    if (args.flag('json')) printJson(io, { file: path, kind: 'relay', ok: true, warnings })
    else io.out(`${path}: ok, as the config of a relay\n`)
    return EXIT_DONE
  }
  if (!result.ok) throw new ConfigError(path, result.faults)
  const own = await readIdentity(result.config.stateDir)
  const faults = own ? ownIdFaults(result.config, own.id) : []
  if (faults.length > 0) throw new ConfigError(path, faults)
  if (args.flag('json')) printJson(io, { file: path, kind: 'agent', ok: true, warnings: result.warnings })
  else io.out(`${path}: ok\n`)
  return EXIT_DONE
}

/** Gives what is to be warned of; throws what is wrong. */
async function checkRelays(path: string): Promise<readonly ConfigFault[]> {
  const { checkRelayConfig } = await import('./relay.ts')
  const { warnings, files } = await checkRelayConfig(path)
  const service = serviceOf(path)
  const faults = service ? await serviceFaults(service.user, [['the file', path], ...files]) : []
  if (faults.length > 0) throw new ConfigError(path, faults)
  return warnings
}

async function isRelays(path: string): Promise<boolean> {
  const file = await readConfigText(path)
  if ('problem' in file) return false
  const json = parseJsonText(file.text.replace(/^\uFEFF/, ''))
  return json.ok && isMeantForRelay(json.value, path)
}
