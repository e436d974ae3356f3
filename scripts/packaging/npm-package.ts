import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { NpmPackage } from './platforms.ts'
import { runProgram } from './run-program.ts'

/** Unpacks some files of an npm package into `folder`. What the registry gives has to be what was pinned. */
export async function unpack(
  root: string,
  pinned: NpmPackage,
  files: readonly string[],
  folder: string,
): Promise<void> {
  const archive = await archiveOf(root, pinned)
  await mkdir(folder, { recursive: true })
  const names = files.map(file => `package/${file}`)
  await runProgram(['tar', '-xzf', archive, '-C', folder, '--strip-components=1', ...names], { cwd: root })
}

/** The package's archive, kept in `.tools/packages` once it was fetched. */
async function archiveOf(root: string, pinned: NpmPackage): Promise<string> {
  const kept = join(root, '.tools/packages')
  const archive = join(kept, `${pinned.name.replace('/', '+')}-${pinned.version}.tgz`)
  if (await holds(archive, pinned.integrity)) return archive
  await mkdir(kept, { recursive: true })
  const folder = await mkdtemp(join(kept, '.new-'))
  try {
    const wanted = `${pinned.name}@${pinned.version}`
    const npm = join(root, '.tools/bin/npm')
    await runProgram([npm, 'pack', wanted, '--prefer-offline', '--ignore-scripts', '--loglevel=error'], { cwd: folder })
    const [name = ''] = await readdir(folder)
    const fetched = join(folder, name)
    if (!(await holds(fetched, pinned.integrity))) {
      throw new Error(`the registry's ${wanted} is not the one that is pinned (${pinned.integrity})`)
    }
    await rename(fetched, archive)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  return archive
}

async function holds(file: string, integrity: string): Promise<boolean> {
  try {
    return integrityOf(await readFile(file)) === integrity
  } catch {
    return false
  }
}

/** As npm writes it. */
export function integrityOf(bytes: Uint8Array): string {
  return `sha512-${createHash('sha512').update(bytes).digest('base64')}`
}

/** A package as the lock file pins it. */
export async function lockedPackage(root: string, name: string): Promise<NpmPackage> {
  const { packages } = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, { readonly version: string; readonly integrity?: string }>>
  }
  const locked = packages[`node_modules/${name}`]
  if (!locked?.integrity) throw new Error(`package-lock.json does not pin ${name}`)
  return { name, version: locked.version, integrity: locked.integrity }
}
