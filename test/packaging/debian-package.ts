import { copyFile, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execOk } from '../lab/command.ts'
import type { ProcessTable } from '../lab/lab-process.ts'

/** The same package under another version, made in a folder; `program` in the place of what is in it. */
export async function laterPackage(
  processes: ProcessTable,
  file: string,
  folder: string,
  { version = '$1+later', program }: { readonly version?: string; readonly program?: string } = {},
): Promise<string> {
  const tree = await mkdtemp(join(folder, 'package-'))
  await execOk(processes, 'dpkg-deb', ['-R', file, tree])
  const control = join(tree, 'DEBIAN/control')
  await writeFile(control, (await readFile(control, 'utf8')).replace(/^Version: (.*)$/m, `Version: ${version}`))
  if (program !== undefined) await copyFile(program, join(tree, 'usr/lib/culvert/culvert'))
  const later = `${tree}.deb`
  await execOk(processes, 'dpkg-deb', ['-Znone', '--root-owner-group', '-b', tree, later])
  return later
}
