import { realpath, stat } from 'node:fs/promises'
import { CulvertError, reasonOf, systemCodeOf } from '../../common/errors.ts'
import { writeFileAtomic } from '../../common/platform/atomic-file.ts'
import type { AgentConfig } from './agent-config.ts'
import type { ConfigFault } from './config-fault.ts'
import { ConfigError, readConfigText } from './load-config.ts'
import { parseConfig } from './parse-config.ts'
import type { WrittenConfig } from './written-config.ts'

export interface EditedConfig {
  readonly config: AgentConfig
  readonly warnings: readonly ConfigFault[]
  /** False when it says so already. */
  readonly changed: boolean
}

/** Changes a config file as a command asks, whole or not at all; a result that would have a fault is refused. */
export async function editConfig(path: string, edit: (written: WrittenConfig) => WrittenConfig): Promise<EditedConfig> {
  const file = await readConfigText(path)
  if ('problem' in file) throw new ConfigError(path, [{ place: 'the file', value: undefined, ...file }])
  const before = parseConfig(file.text, path)
  if (!before.ok) throw new ConfigError(path, before.faults)
  const written = JSON.parse(file.text.replace(/^\uFEFF/, '')) as WrittenConfig
  const next = edit(written)
  const text = `${JSON.stringify(next, null, 2)}\n`
  const after = parseConfig(text, path)
  if (!after.ok) throw new ConfigError(path, after.faults)
  const changed = JSON.stringify(next) !== JSON.stringify(written)
  if (changed) await replace(path, text)
  return { config: after.config, warnings: after.warnings, changed }
}

async function replace(path: string, text: string): Promise<void> {
  try {
    // What a link names is replaced, not the link.
    const real = await realpath(path)
    const { mode } = await stat(real)
    await writeFileAtomic(real, text, mode & 0o777)
  } catch (thrown) {
    const denied = ['EACCES', 'EPERM', 'EROFS'].includes(systemCodeOf(thrown) ?? '')
    const remedy = denied ? 'run the command as its owner, for example with sudo' : 'check the disk'
    throw new CulvertError('io', `cannot write ${path} (${reasonOf(thrown)}); ${remedy}`, { cause: thrown })
  }
}
