import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { getAsset, getRawAsset, isSea } from 'node:sea'
import { CulvertError } from '../errors.ts'
import { loadLibrary } from './nameless-library.ts'

// What comes with the program beside its code: in the one-file program inside of it, else in files beside the bundle.

/** Whether this is the one-file program. */
export const isPackaged: boolean = isSea()

/** A text that comes with the program. */
export async function packedText(name: string): Promise<string> {
  if (isPackaged) return getAsset(name, 'utf8')
  const here = dirname(process.argv[1] ?? '')
  for (const folder of [here, join(here, '../dist')]) {
    try {
      return await readFile(join(folder, name), 'utf8')
    } catch {
      // Not there; the sources have it in the next place.
    }
  }
  throw new CulvertError('io', `${name} is not here; scripts/build makes it`)
}

/** A native addon that comes inside of the one-file program; the packaging puts calls of this in place of `require`. */
export function packedAddon(name: string): unknown {
  return loadLibrary(name, new Uint8Array(getRawAsset(name)), libraryPlaces(process.env))
}

/** Where a library may be loaded from: in memory first, what systemd gives a service before what all share. */
export function libraryPlaces(env: Readonly<Record<string, string | undefined>>): readonly string[] {
  const given = [env.RUNTIME_DIRECTORY, env.XDG_RUNTIME_DIR, '/dev/shm', tmpdir(), '/var/tmp', env.STATE_DIRECTORY]
  // systemd separates several by colons.
  const places = given.flatMap(value => value?.split(':') ?? []).filter(place => place.startsWith('/'))
  return [...new Set(places)]
}
