import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BASE, encodeTrial, type Marks } from '../../agent/update/marks.ts'
import { ROOT } from '../scenario/built-bundle.ts'

export const THIS_BOOT = '6f7f2a54-6d1c-4d5a-9f2e-0b8f5f0a4a11'

/** The launcher of a package, with a directory of the test in the place of its own ones. */
export async function writeLauncher(place: string, program: string): Promise<string> {
  const text = await readFile(join(ROOT, 'bin/launcher'), 'utf8')
  const path = join(place, 'launcher')
  const moved = text
    .replace(/^home=.*$/m, `home=${join(place, 'opt')}`)
    .replace(/^boot_mark=.*$/m, `boot_mark=${join(place, 'opt/boot')}`)
    .replace(/^program=.*$/m, `program=${program}`)
  await writeFile(path, moved, { mode: 0o755 })
  return path
}

/** A program that says which version it is, and what it was given. */
export const sayingProgram = (version: string) => `#!/bin/sh
[ "$1" != version ] || exec echo '{"version":"${version}"}'
echo "${version} $*"
`

export async function writeProgram(directory: string, text: string): Promise<void> {
  await mkdir(directory, { recursive: true })
  await writeFile(join(directory, 'culvert'), text, { mode: 0o755 })
}

/** A place with the launcher, the program of a package, and versions beside it. */
export async function writePlace(place: string, versions: readonly string[], marks: Marks): Promise<string> {
  const home = join(place, 'opt')
  await mkdir(join(home, 'versions'), { recursive: true })
  await writeFile(join(home, 'boot'), `${THIS_BOOT}\n`)
  await writeProgram(join(place, 'base'), sayingProgram(BASE))
  for (const version of versions) await writeProgram(join(home, 'versions', version), sayingProgram(version))
  if (marks.current !== undefined) await symlink(join('versions', marks.current), join(home, 'current'))
  if (marks.trial) await writeFile(join(home, 'trial'), encodeTrial(marks.trial))
  return writeLauncher(place, join(place, 'base', 'culvert'))
}
