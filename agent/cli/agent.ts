import { systemClock } from '../../common/platform/clock.ts'
import { restCompilers } from '../../common/platform/engine.ts'
import { createLog, logStyle } from '../../common/platform/log.ts'
import { formatFault } from '../config/config-fault.ts'
import { ConfigError, loadConfig } from '../config/load-config.ts'
import { ownIdFaults } from '../config/parse-config.ts'
import { readIdentity } from '../identity/identity.ts'
import type { Arguments, CommandIo } from './command.ts'
import { configPathOf } from './config-path.ts'
import { EXIT_DONE } from './exit-code.ts'

export async function run(args: Arguments, io: CommandIo): Promise<number> {
  restCompilers()
  const onReload: (() => void)[] = []
  // From the first moment on, because without a handler SIGHUP ends the process.
  process.on('SIGHUP', () => {
    for (const listener of onReload) listener()
  })
  const configPath = configPathOf(args, io)
  const { config, warnings } = await loadConfig(configPath)
  const own = await readIdentity(config.stateDir)
  const faults = own ? ownIdFaults(config, own.id) : []
  if (faults.length > 0) throw new ConfigError(configPath, faults)

  const style = logStyle(io.env, systemClock)
  const log = createLog({ level: config.log.level, ...style, write: io.err })
  for (const warning of warnings) log.warn(`${configPath}: ${formatFault(warning)}`)
  const { runAgent } = await import('../agent.ts')
  const reload = (listener: () => void) => void onReload.push(listener)
  await runAgent(config, { configPath, log, signal: io.signal, reload })
  return EXIT_DONE
}
