import { chmod, copyFile, mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { COMMANDS } from '../../agent/cli/commands.ts'
import type { Executable } from './executable.ts'
import { manPage } from './man-page.ts'

/** A file of the installed system. */
export interface PackageFile {
  /** Below `/`. */
  readonly path: string
  readonly content: string | Uint8Array | { readonly copyOf: string }
  readonly mode: 0o644 | 0o755
}

export interface PackageFacts {
  readonly version: string
  readonly epoch: number
  readonly sbom: string
}

/** What the Debian package and the archive put on a machine: the same files at the same places. */
export async function packageFiles(
  root: string,
  executable: Executable,
  { version, epoch, sbom }: PackageFacts,
): Promise<readonly PackageFile[]> {
  const doc = 'usr/share/doc/culvert'
  const text = (path: string, content: string | Uint8Array): PackageFile => ({ path, content, mode: 0o644 })
  const copy = (path: string, from: string): PackageFile => ({
    path,
    content: { copyOf: join(root, from) },
    mode: 0o644,
  })
  const copies = async (folder: string, from: string, suffix: string) => {
    const names = await readdir(join(root, from))
    return names.filter(name => name.endsWith(suffix)).map(name => copy(`${folder}/${name}`, `${from}/${name}`))
  }
  return [
    { path: 'usr/bin/culvert', content: { copyOf: join(root, 'bin/launcher') }, mode: 0o755 },
    { path: 'usr/lib/culvert/culvert', content: { copyOf: executable.file }, mode: 0o755 },
    ...(await copies('usr/lib/systemd/system', 'systemd', '.service')),
    ...(await copies('usr/lib/sysusers.d', 'systemd/sysusers.d', '.conf')),
    ...(await copies('usr/lib/tmpfiles.d', 'systemd/tmpfiles.d', '.conf')),
    ...(await copies('usr/share/culvert', 'schema', '.json')),
    text('usr/share/man/man1/culvert.1.gz', zipped(manPage(COMMANDS, version, epoch))),
    text(`${doc}/changelog.gz`, zipped(await readFile(join(root, 'CHANGELOG.md'), 'utf8'))),
    text(`${doc}/copyright`, executable.notices),
    text(`${doc}/culvert.cdx.json`, sbom),
    copy(`${doc}/README.md`, 'README.md'),
    copy(`${doc}/SECURITY.md`, 'SECURITY.md'),
    copy(`${doc}/json.md`, 'docs/json.md'),
  ]
}

function zipped(words: string): Uint8Array {
  // Without name and time, as zlib does it.
  return gzipSync(words, { level: 9 })
}

/** Writes the files below `folder`, all with the time that the package carries. */
export async function layOut(files: readonly PackageFile[], folder: string, epoch: number): Promise<void> {
  for (const { path, content, mode } of files) {
    const target = join(folder, path)
    await mkdir(dirname(target), { recursive: true })
    if (typeof content === 'string' || content instanceof Uint8Array) await writeFile(target, content)
    else await copyFile(content.copyOf, target)
    await chmod(target, mode)
    await utimes(target, epoch, epoch)
  }
  // mkdir(2) takes the umask off, and passes setgid on.
  await chmod(folder, 0o755)
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) await chmod(join(entry.parentPath, entry.name), 0o755)
  }
}
