import { createHash, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { execOk } from './command.ts'
import type { ProcessTable } from './lab-process.ts'
import { requireTools } from './required-tools.ts'

const CACHE = join(import.meta.dirname, '../../node_modules/.cache/culvert-lab')

/** The path of the program made from test/lab/NAME.c, compiled when its source was not seen before. */
export async function compileHelper(
  processes: ProcessTable,
  name: 'link-emulator' | 'packet-capture',
): Promise<string> {
  const source = join(import.meta.dirname, `${name}.c`)
  const hash = createHash('sha256')
    .update(await readFile(source))
    .digest('hex')
    .slice(0, 16)
  const program = join(CACHE, `${name}-${process.arch}-${hash}`)
  if (existsSync(program)) return program
  requireTools(['gcc'])
  await mkdir(CACHE, { recursive: true })
  // Renamed when whole and under a name of its own, since two sites, and two labs, may start at once.
  const unfinished = `${program}.${randomUUID()}`
  await execOk(processes, 'gcc', ['-O2', '-Wall', '-Wextra', '-o', unfinished, source])
  await rename(unfinished, program)
  return program
}
