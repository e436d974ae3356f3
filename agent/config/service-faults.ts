import { access } from 'node:fs/promises'
import { resolve } from 'node:path'
import { handingOver, whyUnreadable } from '../../common/platform/service-reader.ts'
import type { ConfigFault } from './config-fault.ts'

/** The services that the package installs, with the file that each of them reads. */
const SERVICES = [
  { unit: 'culvert-agent', config: '/etc/culvert/agent.json', user: 'culvert' },
  { unit: 'culvert-relay', config: '/etc/culvert/relay.json', user: 'culvert-relay' },
] as const

/** Where units of packages stand, and those that somebody wrote, or that install.sh put there. */
const UNIT_DIRECTORIES = ['/usr/lib/systemd/system', '/lib/systemd/system', '/etc/systemd/system']

export type Service = (typeof SERVICES)[number]

/** The service of this machine that runs with this config. */
export async function serviceOf(config: string): Promise<Service | undefined> {
  const service = SERVICES.find(one => one.config === resolve(config))
  return service && (await isInstalled(service.unit)) ? service : undefined
}

export async function isInstalled(unit: Service['unit']): Promise<boolean> {
  const places = UNIT_DIRECTORIES.map(directory => access(`${directory}/${unit}.service`))
  return Promise.any(places).then(
    () => true,
    () => false,
  )
}

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
