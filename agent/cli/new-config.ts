import { statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { CulvertError, reasonOf, systemCodeOf } from '../../common/errors.ts'
import { makeDirectory } from '../../common/platform/atomic-file.ts'
import { usualStateDir } from '../config/config-basics.ts'
import { createFile } from '../identity/create-file.ts'
import { asUsage } from './output.ts'

/** No secret is in it, but it tells whom we trust: the owner writes, the service's group reads, others see nothing. */
const CONFIG_MODE = 0o640

export interface RelayOption {
  readonly url: string
  readonly id?: string
}

/** The text of a first config that stands at `path`. */
export function newConfigText(path: string, name: string, relays: readonly RelayOption[]): string {
  const config = { name, stateDir: usualStateDir(path), relays, peers: {}, services: {}, forwards: [] }
  return `${JSON.stringify(config, null, 2)}\n`
}

/** Never in place of one that is there. */
export async function writeNewConfig(path: string, text: string): Promise<void> {
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

/** `relays` is what was to be written into it. */
export function alreadyThere(path: string, relays: readonly RelayOption[] = []): CulvertError {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    return asUsage(`${path} is a directory; name a file in it: --config ${join(path, 'agent.json')}`)
  }
  const added = relays.map(relay => JSON.stringify(relay)).join(', ')
  const edit = added === '' ? 'edit it' : `write ${added} into "relays" in it`
  return asUsage(`${path} is already there and is kept; ${edit}, remove it first, or name another with --config FILE`)
}
