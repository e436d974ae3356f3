import { existsSync } from 'node:fs'
import { DEFAULT_CONFIG } from './config-path.ts'

/** Where the package puts it. */
const UNIT = '/lib/systemd/system/culvert-agent.service'
const USR_UNIT = `/usr${UNIT}`

/** The command that has an agent with this config run from now on. */
export function howToRun(configPath: string): string {
  if (configPath !== DEFAULT_CONFIG) return `culvert agent --config ${configPath}`
  return existsSync(UNIT) || existsSync(USR_UNIT) ? 'sudo systemctl enable --now culvert-agent' : 'sudo culvert agent'
}
