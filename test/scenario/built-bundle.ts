import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

export const ROOT = join(import.meta.dirname, '../..')

/** What users run, started without the wrapper so that its pid is the agent's own. */
export const BUNDLE = join(ROOT, 'dist/culvert.cjs')

let building: Promise<unknown> | undefined

/** Builds the bundle if a source is newer, so that nobody tests yesterday's; once per process. */
export async function ensureBuilt(): Promise<void> {
  building ??= promisify(execFile)(join(ROOT, 'scripts/build'))
  await building
}
