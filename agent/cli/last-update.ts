import { existsSync } from 'node:fs'
import { systemCodeOf } from '../../common/errors.ts'
import type { UpdateReport } from '../update/outcome.ts'
import { line } from './output.ts'

const VERSIONS_HOME = '/opt/culvert'

/** How the last update on this machine went; null where there was none, or where it cannot be seen. Most have had none. */
export async function lastUpdate(home = VERSIONS_HOME): Promise<UpdateReport | null> {
  if (!existsSync(home)) return null
  const { lastReport } = await import('../update/last-report.ts')
  try {
    return await lastReport(home)
  } catch (thrown) {
    if (systemCodeOf(thrown) === undefined) throw thrown
    return null
  }
}

/** A line about it for people; empty when all is as it was wanted. */
export async function lastUpdateLine(home?: string): Promise<string> {
  const report = await lastUpdate(home)
  if (report === null) return ''
  const { updateWords } = await import('../update/outcome.ts')
  const words = updateWords(report)
  return words === undefined ? '' : line(words)
}
