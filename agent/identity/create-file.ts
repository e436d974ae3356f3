import { systemCodeOf } from '../../common/errors.ts'
import { linkFileAtomic, writeFileAtomic } from '../../common/platform/atomic-file.ts'

/**
 * Makes a file that does not exist yet, whole or not at all, and resolves with false when there is one already: of two
 * programs that make it at the same moment, one wins and the other learns of it.
 */
export async function createFile(path: string, content: string, mode: number): Promise<boolean> {
  try {
    await linkFileAtomic(path, content, mode)
  } catch (thrown) {
    const code = systemCodeOf(thrown)
    if (code === 'EEXIST') return false
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP') throw thrown
    // A file system without hard links (vfat) has no such exclusive step.
    await writeFileAtomic(path, content, mode)
  }
  return true
}
