import { constants } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { CulvertError, reasonOf, systemCodeOf } from '../../common/errors.ts'

// A state directory is the agent's, and root's commands look into it, too: an agent that was taken over must not lead them
// to another file than they think. So a name is looked up once, and all else is done to what it named then.

/** FIFOs are not waited for. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/**
 * Opens a file of a state directory to read it: no link, no pipe or device, and for root only what belongs to whom the
 * directory does. Rejects with the system's error, or with `io` and what to do.
 */
export async function openStateFile(path: string): Promise<FileHandle> {
  const handle = await opened(path)
  try {
    const [file, directory] = await Promise.all([handle.stat(), stat(dirname(path))])
    if (!file.isFile()) throw new CulvertError('io', `${path} is no plain file; remove it`)
    if (process.geteuid?.() === 0 && file.uid !== directory.uid) {
      const message = `${path} belongs to another user than ${dirname(path)}; run: chown ${directory.uid}:${directory.gid} ${path}`
      throw new CulvertError('io', message)
    }
    return handle
  } catch (thrown) {
    await handle.close()
    throw thrown
  }
}

/** All of an open file, or undefined when it is longer than `limit`, or becomes longer meanwhile. */
export async function readAtMost(handle: FileHandle, limit: number): Promise<Buffer | undefined> {
  const { size } = await handle.stat()
  if (size > limit) return undefined
  const buffer = Buffer.alloc(size + 1)
  let length = 0
  for (let read = -1; read !== 0 && length < buffer.length; length += read) {
    read = (await handle.read(buffer, length, buffer.length - length, length)).bytesRead
  }
  return length > size ? undefined : buffer.subarray(0, length)
}

async function opened(path: string): Promise<FileHandle> {
  try {
    return await open(path, FLAGS)
  } catch (thrown) {
    if (systemCodeOf(thrown) !== 'ELOOP') throw thrown
    throw new CulvertError('io', `${path} is a symbolic link; put the file itself there (${reasonOf(thrown)})`, {
      cause: thrown,
    })
  }
}
