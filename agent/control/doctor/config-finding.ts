import { formatFault } from '../../config/config-fault.ts'
import { checkConfig } from '../../config/load-config.ts'
import { type Finding, finding } from './finding.ts'

/** Whether the config file is such that an agent can start with it, or read it again. */
export async function configFinding(path: string): Promise<Finding> {
  const result = await checkConfig(path)
  if (result.ok && result.warnings.length === 0) return finding('config-valid', 'ok', `${path} is valid`)
  if (result.ok) {
    return finding('config-valid', 'note', `${path} is valid, but: ${result.warnings.map(formatFault).join('; ')}`)
  }
  const [first] = result.faults
  const more = result.faults.length > 1 ? ` (and ${result.faults.length - 1} more faults)` : ''
  return finding('config-invalid', 'problem', `${path}: ${first ? formatFault(first) : 'is not valid'}${more}`, {
    remedy: '"culvert check" tells every fault with its remedy',
  })
}
