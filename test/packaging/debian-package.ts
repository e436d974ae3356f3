import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execOk } from '../lab/command.ts'
import type { ProcessTable } from '../lab/lab-process.ts'

/** The same package under a later version, made in a folder. */
export async function laterPackage(processes: ProcessTable, file: string, folder: string): Promise<string> {
  const tree = join(folder, 'later')
  await execOk(processes, 'dpkg-deb', ['-R', file, tree])
  const control = join(tree, 'DEBIAN/control')
  await writeFile(control, (await readFile(control, 'utf8')).replace(/^(Version: .*)$/m, '$1+later'))
  const later = `${tree}.deb`
  await execOk(processes, 'dpkg-deb', ['-Znone', '--root-owner-group', '-b', tree, later])
  return later
}
