import { type UpdateReport, updateReport } from './outcome.ts'
import { VersionsDirectory } from './versions-directory.ts'

export async function lastReport(home: string): Promise<UpdateReport | null> {
  const versions = new VersionsDirectory(home)
  return updateReport(await versions.marks(), await versions.outcome(), await versions.moment())
}
