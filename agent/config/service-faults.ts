import { handingOver, whyUnreadable } from '../../common/platform/service-reader.ts'
import type { ConfigFault } from './config-fault.ts'

/** What the units hide from the services (`ProtectHome=`, `PrivateTmp=`). */
const HIDDEN = /^\/(?:home|root|run\/user|tmp|var\/tmp)\//

/** Each of these files that root reads, and the service cannot. */
export async function serviceFaults(
  user: string,
  files: readonly (readonly [place: string, file: string])[],
): Promise<readonly ConfigFault[]> {
  const faults = files.map(async ([place, file]): Promise<readonly ConfigFault[]> => {
    const why = (await whyUnreadable(file, user)) ?? (HIDDEN.test(file) ? { value: 'hidden', closed: true } : undefined)
    if (!why) return []
    const problem = `cannot be read by the user ${user}, as whom the service runs`
    const copy = `copy it to /etc/culvert: install -m 0640 -g ${user} ${file} /etc/culvert/, and name the copy`
    const remedy = why.closed ? copy : handingOver(file, user)
    return [{ place, value: place === 'the file' ? `(${why.value})` : `${file} (${why.value})`, problem, remedy }]
  })
  return (await Promise.all(faults)).flat()
}
