import { lstat } from 'node:fs/promises'
import { CulvertError, reasonOf, systemCodeOf } from '../../common/errors.ts'

/** True when something has this name, be it a link to nowhere; `io` when that cannot be told. */
export async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (thrown) {
    if (systemCodeOf(thrown) === 'ENOENT') return false
    throw new CulvertError('io', `cannot look at ${path}: ${reasonOf(thrown)}`, { cause: thrown })
  }
}
