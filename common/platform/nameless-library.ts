import { closeSync, constants, openSync, writeSync } from 'node:fs'
import { CulvertError, reasonOf } from '../errors.ts'

/** Linux' `O_TMPFILE`, which Node does not name: a file in that directory that never has a name. With O_EXCL, none can be given to it. */
const WITHOUT_NAME = 0o20000000 | constants.O_DIRECTORY

/**
 * Loads a native addon from its bytes. They go to a file that has no name, so that nobody can put another one in its
 * place, and that is gone with this process however it ends. `places` are tried one by one: one may be missing, read-only,
 * or mounted so that nothing in it may be run.
 */
export function loadLibrary(name: string, bytes: Uint8Array, places: readonly string[]): unknown {
  const tried: string[] = []
  for (const place of places) {
    try {
      return loadFrom(place, bytes)
    } catch (thrown) {
      tried.push(`${place} (${reasonOf(thrown).replace(/^\/proc\/self\/fd\/\d+: /, '')})`)
    }
  }
  throw new CulvertError(
    'io',
    `${name} could not be loaded from a file in ${tried.join(', ')}; let TMPDIR name a directory that may be written to, on a file system that is not mounted noexec`,
  )
}

function loadFrom(place: string, bytes: Uint8Array): unknown {
  const file = openSync(place, constants.O_RDWR | constants.O_EXCL | WITHOUT_NAME, 0o400)
  try {
    let written = 0
    while (written < bytes.length) written += writeSync(file, bytes, written)
    const library = { exports: {} }
    // The file stays open: the C library would take a second one that is opened under this number for the first.
    process.dlopen(library, `/proc/self/fd/${file}`)
    return library.exports
  } catch (thrown) {
    closeSync(file)
    throw thrown
  }
}
