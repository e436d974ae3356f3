import { chmod, copyFile, mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { layOut, type PackageFile } from './package-files.ts'
import type { Platform } from './platforms.ts'
import { runProgram } from './run-program.ts'

export interface DebianFacts {
  readonly version: string
  readonly epoch: number
  readonly platform: Platform
  /** Where the package is put together. */
  readonly folder: string
  readonly out: string
  readonly quick: boolean
}

/** Makes the Debian package of these files, and of the scripts in `packaging/deb`. There are no conffiles: nothing asks. */
export async function makeDebianPackage(
  root: string,
  files: readonly PackageFile[],
  facts: DebianFacts,
): Promise<void> {
  const { epoch, folder, platform, version, out, quick } = facts
  await layOut(files, folder, epoch)
  const control = join(folder, 'DEBIAN')
  await mkdir(control)
  // mkdir(2) takes the umask off, and passes on that of a folder with setgid.
  await chmod(control, 0o755)
  const scripts = join(root, 'packaging/deb')
  for (const name of await readdir(scripts)) {
    await copyFile(join(scripts, name), join(control, name))
    await chmod(join(control, name), 0o755)
  }
  await writeFile(join(control, 'control'), controlOf(version, platform.debian, await installedKib(folder)))
  await chmod(join(control, 'control'), 0o644)
  // Two threads wherever it is built: how the bytes are cut up is in what comes out.
  const options = ['--root-owner-group', '--uniform-compression', '-Zxz', quick ? '-z0' : '-z6', '--threads-max=2']
  const made = ['dpkg-deb', ...options, '--build', folder, out]
  await runProgram(made, { cwd: root, env: { SOURCE_DATE_EPOCH: `${epoch}` } })
}

/** As dpkg-gencontrol(1) counts: whole KiB for each file, and one for all else, since file systems differ. */
export async function installedKib(folder: string): Promise<number> {
  let kib = 0
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (path === join(folder, 'DEBIAN') || entry.parentPath === join(folder, 'DEBIAN')) continue
    kib += entry.isFile() ? Math.ceil((await stat(path)).size / 1024) : 1
  }
  return kib
}

/** What apt is told. The libraries are those that Node and the addons are linked with, at the versions that they ask for. */
export function controlOf(version: string, architecture: string, kib: number): string {
  return `Package: culvert
Version: ${version}
Architecture: ${architecture}
Maintainer: the culvert authors <culvert@invalid.invalid>
Installed-Size: ${kib}
Depends: libc6 (>= 2.30), libstdc++6 (>= 7), libgcc-s1 | libgcc1
Section: net
Priority: optional
Description: reach your machines wherever they are
 A peer-to-peer agent for small machines behind home routers: direct paths
 through NATs first, a sealed relay when there is none, and services shared
 between your own devices. The relay is in the same program.
`
}
