import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { type Architecture, PLATFORMS } from './platforms.ts'

export interface Emulator {
  /** What stands before a program of that architecture to run it here; undefined if nothing can. */
  readonly command: readonly string[] | undefined
  /** The Debian packages that are missing for it. */
  readonly remedy: string
}

/** How programs of an architecture run on this machine: by themselves, or in qemu with that architecture's C library. */
export async function emulatorOf(arch: Architecture): Promise<Emulator> {
  const { gnu, debian } = PLATFORMS[arch]
  const libraries = `/usr/${gnu}-linux-gnu`
  const remedy = `qemu-user-static libc6-${debian}-cross libstdc++6-${debian}-cross`
  if (arch === process.arch) return { command: [], remedy }
  const qemu = await firstProgram([`qemu-${gnu}-static`, `qemu-${gnu}`])
  const complete = qemu !== undefined && (await exists(join(libraries, 'lib/libstdc++.so.6')))
  return { command: complete ? [qemu, '-L', libraries] : undefined, remedy }
}

async function firstProgram(names: readonly string[]): Promise<string | undefined> {
  for (const name of names) {
    for (const folder of (process.env.PATH ?? '').split(delimiter)) {
      if (await exists(join(folder, name), constants.X_OK)) return join(folder, name)
    }
  }
  return undefined
}

async function exists(file: string, mode = constants.R_OK): Promise<boolean> {
  try {
    await access(file, mode)
    return true
  } catch {
    return false
  }
}
