import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

export const ROOT = join(import.meta.dirname, '../..')

/** What users run, started without the wrapper so that its pid is the agent's own. */
export const BUNDLE = join(ROOT, 'dist/culvert.cjs')

/** How a command of culvert is started; `CULVERT_BINARY` names a packaged program to take in place of the bundle. */
export function culvertCommand(...args: readonly string[]): readonly [program: string, args: readonly string[]] {
  const packaged = process.env.CULVERT_BINARY
  return packaged === undefined ? [process.execPath, [BUNDLE, ...args]] : [packaged, args]
}

let building: Promise<unknown> | undefined

/** Builds the bundle if a source is newer, so that nobody tests yesterday's; once per process. */
export async function ensureBuilt(): Promise<void> {
  building ??= promisify(execFile)(join(ROOT, 'scripts/build'))
  await building
}
