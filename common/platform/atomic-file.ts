import { randomBytes } from 'node:crypto'
import { type FileHandle, lchown, link, mkdir, open, readdir, rename, rm, stat, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { systemCodeOf } from '../errors.ts'

// A power cut loses what was not told to the disk, in any order: the content of a file until the file was synced, and that
// it was made, renamed or removed until its directory was (POSIX promises no more; see fsync(2)).

/**
 * Replaces a file so that a power cut leaves either the old or the new content, never a part. The new file has `mode`
 * from its first byte on, and what root writes belongs to whom the directory does: `sudo culvert init` makes the files
 * that the service, which is not root, has to read.
 */
export async function writeFileAtomic(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  await putInPlace(path, fresh => writeSynced(fresh, content, mode), rename)
}

/** As `writeFileAtomic`, for a file that is not there yet: rejects with EEXIST when it is, and with EPERM on vfat. */
export async function linkFileAtomic(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  await putInPlace(path, fresh => writeSynced(fresh, content, mode), link)
}

/** Replaces a symbolic link, or makes it. */
export async function switchLink(path: string, target: string): Promise<void> {
  await putInPlace(path, fresh => symlink(target, fresh), rename)
}

/** Makes a directory and those above it that are missing; what root makes belongs to whom the directory above does. */
export async function makeDirectory(path: string, mode: number): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode })
  if (first === undefined) return
  const owner = process.getuid?.() === 0 ? await stat(dirname(first)) : undefined
  for (let made = path; ; made = dirname(made)) {
    if (owner && owner.uid !== 0) await lchown(made, owner.uid, owner.gid)
    await syncDirectory(dirname(made))
    if (made === first || made === dirname(made)) return
  }
}

/** Makes what was made, renamed or removed in a directory outlast a power cut. */
export async function syncDirectory(path: string): Promise<void> {
  try {
    await using directory = await open(path, 'r')
    await directory.sync()
  } catch (thrown) {
    // Some directories may be written and not read, and some file systems cannot sync them.
    const code = systemCodeOf(thrown)
    if (code !== 'EACCES' && code !== 'EINVAL') throw thrown
  }
}

async function putInPlace(
  path: string,
  make: (fresh: string) => Promise<void>,
  put: (fresh: string, path: string) => Promise<void>,
): Promise<void> {
  const fresh = `${path}.${randomBytes(6).toString('hex')}.new`
  try {
    await make(fresh)
    await put(fresh, path)
  } finally {
    await rm(fresh, { force: true })
  }
  await syncDirectory(dirname(path))
}

async function writeSynced(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  const file = await open(path, 'wx', mode)
  try {
    await file.writeFile(content)
    if (process.getuid?.() === 0) await giveToOwnerOf(dirname(path), file)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function giveToOwnerOf(directory: string, file: FileHandle): Promise<void> {
  const [theirs, ours] = await Promise.all([stat(directory), file.stat()])
  if (theirs.uid !== ours.uid || theirs.gid !== ours.gid) await file.chown(theirs.uid, theirs.gid)
}

/** Ours: writing takes milliseconds; a card that is slow takes seconds. */
const LEFT_BEHIND_MS = 60_000

/**
 * Removes what programs that were killed while they replaced files of these names left beside them, so that it does not
 * add up. Resolves with the names; what cannot be removed stays.
 */
export async function removeLeftBehind(
  directory: string,
  names: readonly string[],
  wallNow: number,
): Promise<readonly string[]> {
  const removed: string[] = []
  for (const file of await readdir(directory)) {
    const name = /^(.+?)(?:\.[0-9a-f]{12})+(?:\.new)?$/.exec(file)?.[1]
    if (name === undefined || !names.includes(name)) continue
    const path = join(directory, file)
    try {
      // Either way: what a board without a clock wrote may be of the past or of the future.
      if (Math.abs(wallNow - (await stat(path)).mtimeMs) < LEFT_BEHIND_MS) continue
      await rm(path)
      removed.push(file)
    } catch {
      // Gone meanwhile, or on a disk that takes no writes.
    }
  }
  return removed
}
