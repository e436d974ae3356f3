import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { TOOL_PATH } from '../../test/lab/lab-process.ts'

/** Throws where a program is missing that only a comparison needs, with the Debian package that has it. */
export function requireProgram(name: string, debianPackage: string): void {
  const found = TOOL_PATH.split(delimiter).some(folder => isProgram(join(folder, name)))
  if (!found) throw new Error(`${name} was not found; on Debian: apt-get install ${debianPackage}`)
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
