import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { layOut, type PackageFile } from './package-files.ts'
import { runProgram } from './run-program.ts'

export interface ArchiveFacts {
  /** Of the archive, less its endings, and of the one folder in it. */
  readonly name: string
  readonly epoch: number
  /** Where it is put together. */
  readonly folder: string
  readonly out: string
  readonly quick: boolean
}

/** Makes the archive for machines without dpkg: the files in `root/`, the Debian package's scripts, and install.sh. */
export async function makeArchive(root: string, files: readonly PackageFile[], facts: ArchiveFacts): Promise<void> {
  const { name, epoch, folder, out, quick } = facts
  const scripts = join(root, 'packaging/deb')
  const own: PackageFile[] = [
    { path: 'install.sh', content: await readFile(join(root, 'packaging/tar/install.sh')), mode: 0o755 },
  ]
  for (const script of await readdir(scripts)) {
    own.push({ path: `scripts/${script}`, content: { copyOf: join(scripts, script) }, mode: 0o755 })
  }
  const placed = files.map(file => ({ ...file, path: `root/${file.path}` }))
  await layOut([...own, ...placed], join(folder, name), epoch)
  const plain = `${folder}/${name}.tar`
  const sameAlways = ['--sort=name', '--format=ustar', '--owner=0', '--group=0', '--numeric-owner', `--mtime=@${epoch}`]
  await runProgram(['tar', ...sameAlways, '--mode=u=rwX,go=rX', '-C', folder, '-cf', plain, name], { cwd: root })
  await runProgram(['xz', quick ? '-0' : '-6', '-T2', '--force', plain], { cwd: root })
  await runProgram(['mv', `${plain}.xz`, out], { cwd: root })
}
