import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { SitePlan } from './address-plan.ts'
import type { LabProcess, ProcessTable } from './lab-process.ts'

/** Whether the site's router offers UPnP IGD, NAT-PMP or PCP. */
export function mapsPorts({ mapper }: SitePlan): boolean {
  return Boolean(mapper.upnp || mapper.natPmp || mapper.pcp)
}

/** miniupnpd's configuration for the site; its rules go into the chains that `natTable` keeps for it. */
export function miniupnpdConfiguration({ number, prefix6, mapper }: SitePlan): string {
  const yes = (on: unknown) => (on ? 'yes' : 'no')
  return [
    'ext_ifname=wan',
    'listening_ip=lan',
    ...(prefix6 === null ? ['ipv6_disable=yes'] : []),
    ...(typeof mapper.upnp === 'string' ? [`ext_ip=${mapper.upnp}`] : []),
    `enable_upnp=${yes(mapper.upnp)}`,
    `enable_natpmp=${yes(mapper.natPmp || mapper.pcp)}`,
    `force_igd_desc_v1=${yes(mapper.igdVersion === 1)}`,
    'secure_mode=yes',
    'system_uptime=yes',
    'min_lifetime=20',
    'max_lifetime=86400',
    'notify_interval=30',
    'upnp_table_name=lab',
    'upnp_nat_table_name=lab',
    `uuid=f47760d8-df03-42b3-92e5-1529f2a9${number.toString(16).padStart(4, '0')}`,
    ...(mapper.upnpRefuses ? [] : ['allow 1024-65535 0.0.0.0/0 1024-65535']),
    'deny 0-65535 0.0.0.0/0 0-65535',
    '',
  ].join('\n')
}

/** Starts miniupnpd on the site's router and waits until it listens. */
export async function startPortMapper(
  processes: ProcessTable,
  site: SitePlan,
  router: string,
  tempDir: string,
): Promise<LabProcess> {
  const file = join(tempDir, `${site.name}.miniupnpd.conf`)
  await writeFile(file, miniupnpdConfiguration(site))
  const pidFile = join(tempDir, `${site.name}.miniupnpd.pid`)
  const daemon = processes.start('ip', ['netns', 'exec', router, 'miniupnpd', '-d', '-f', file, '-P', pidFile])
  const { upnp, natPmp, pcp } = site.mapper
  if (upnp) await daemon.waitForOutput(/HTTP listening on port/)
  if (natPmp || pcp) await daemon.waitForOutput(/Listening for NAT-PMP/)
  return daemon
}
