import { existsSync } from 'node:fs'
import { resolve } from 'node:path'

/** The services that the package installs, with the file that each of them reads. */
const SERVICES = [
  { unit: 'culvert-agent', config: '/etc/culvert/agent.json', user: 'culvert' },
  { unit: 'culvert-relay', config: '/etc/culvert/relay.json', user: 'culvert-relay' },
] as const

export type Service = (typeof SERVICES)[number]

/** Where units of packages stand, and those that somebody wrote, or that install.sh put there. */
const UNIT_DIRECTORIES = ['/usr/lib/systemd/system', '/lib/systemd/system', '/etc/systemd/system']

/** The service of this machine that runs with this config. */
export function serviceOf(config: string): Service | undefined {
  const service = SERVICES.find(one => one.config === resolve(config))
  return service && isInstalled(service.unit) ? service : undefined
}

export function isInstalled(unit: Service['unit']): boolean {
  return UNIT_DIRECTORIES.some(directory => existsSync(`${directory}/${unit}.service`))
}
