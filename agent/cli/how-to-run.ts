import { isInstalled } from '../config/installed-service.ts'
import { DEFAULT_CONFIG } from './config-path.ts'

/** The command that has an agent with this config run from now on. */
export function howToRun(configPath: string): string {
  if (configPath !== DEFAULT_CONFIG) return `culvert agent --config ${configPath}`
  return isInstalled('culvert-agent') ? 'sudo systemctl enable --now culvert-agent' : 'sudo culvert agent'
}
