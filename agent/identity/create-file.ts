import { link, rename, unlink } from 'node:fs/promises'
import { systemCodeOf } from '../../common/errors.ts'
import { writeFileAtomic } from '../../common/platform/atomic-file.ts'
import type { Random } from '../../common/platform/random.ts'

/**
 * Makes a file that does not exist yet, whole or not at all, and resolves with false when there is one already: of two
 * programs that make it at the same moment, one wins and the other learns of it.
 */
export async function createFile(path: string, content: string, mode: number, random: Random): Promise<boolean> {
  const fresh = `${path}.${Buffer.from(random.bytes(6)).toString('hex')}`
  await writeFileAtomic(fresh, content, mode)
  try {
    await link(fresh, path)
  } catch (thrown) {
    const code = systemCodeOf(thrown)
    if (code === 'EEXIST') {
      await unlink(fresh)
      return false
    }
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP') {
      await unlink(fresh)
      throw thrown
    }
    // A file system without hard links (vfat) has no such exclusive step.
    await rename(fresh, path)
    return true
  }
  await unlink(fresh)
  return true
}
