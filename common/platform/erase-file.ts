import { open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { CulvertError, reasonOf, systemCodeOf } from '../errors.ts'
import { syncDirectory } from './atomic-file.ts'

/** Zeros first: what is only removed from a FAT can be read by whoever gets the card. (What its controller keeps, too.) */
export async function eraseFile(file: string): Promise<void> {
  try {
    await overwrite(file)
    await rm(file)
    await syncDirectory(dirname(file))
  } catch (thrown) {
    if (systemCodeOf(thrown) === 'ENOENT') return
    throw new CulvertError('io', `cannot erase ${file}: ${reasonOf(thrown)}`, { cause: thrown })
  }
}

async function overwrite(file: string): Promise<void> {
  await using handle = await open(file, 'r+')
  const { size } = await handle.stat()
  await handle.write(Buffer.alloc(size), 0, size, 0)
  await handle.sync()
}
