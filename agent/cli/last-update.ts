import { existsSync } from 'node:fs'
import type { UpdateReport } from '../update/outcome.ts'
import { line } from './output.ts'

const VERSIONS_HOME = '/opt/culvert'

/** How the last update on this machine went; null where there was none. Most machines have had none. */
export async function lastUpdate(home = VERSIONS_HOME): Promise<UpdateReport | null> {
  if (!existsSync(home)) return null
  const { lastReport } = await import('../update/last-report.ts')
  return lastReport(home)
}

/** A line about it for people; empty when all is as it was wanted. */
export async function lastUpdateLine(home?: string): Promise<string> {
  const report = await lastUpdate(home)
  if (report === null) return ''
  const { updateWords } = await import('../update/outcome.ts')
  const words = updateWords(report)
  return words === undefined ? '' : line(words)
}
