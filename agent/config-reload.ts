import { reasonOf } from '../common/errors.ts'
import type { Log, LogLevel } from '../common/platform/log.ts'
import type { PeerId } from '../common/wire/peer-id.ts'
import type { AgentConfig } from './config/agent-config.ts'
import { formatFault } from './config/config-fault.ts'
import { ConfigError, loadConfig } from './config/load-config.ts'
import { ownIdFaults } from './config/parse-config.ts'

export interface ConfigReloadOptions {
  readonly path: string
  readonly ownId: PeerId
  readonly log: Log & { setLevel(level: LogLevel): void }
  readonly apply: (config: AgentConfig) => Promise<void>
  /** The service manager hears of it before and after. */
  readonly manager: { reloading(): void; ready(): void }
}

/** Reads the config again when somebody asks, one time after the other: two at once would mix their forwards. */
export class ConfigReload {
  readonly #options: ConfigReloadOptions
  #last: Promise<void> = Promise.resolve()

  constructor(options: ConfigReloadOptions) {
    this.#options = options
  }

  /** Rejects with the config's faults, and then what held before holds on. */
  now(): Promise<void> {
    const done = this.#last.then(() => this.#run())
    this.#last = done.catch(() => undefined)
    return done
  }

  async #run(): Promise<void> {
    const { path, ownId, log, apply, manager } = this.#options
    manager.reloading()
    try {
      const { config, warnings } = await loadConfig(path)
      const faults = ownIdFaults(config, ownId)
      if (faults.length > 0) throw new ConfigError(path, faults)
      for (const warning of warnings) log.warn(`${path}: ${formatFault(warning)}`)
      log.setLevel(config.log.level)
      await apply(config)
    } catch (thrown) {
      for (const reason of reasonOf(thrown).split('\n')) log.error('the config was not taken over', { reason })
      throw thrown
    } finally {
      manager.ready()
    }
  }
}
