import { join } from 'node:path'
import { LabError } from './lab-error.ts'
import type { SiteHost } from './lab-host.ts'
import type { LineReport } from './line-probe.ts'
import type { NatReport } from './nat-probe.ts'
import type { PortMapperReport } from './port-mapper-probe.ts'

export interface NatProbeOptions {
  readonly server?: string
  readonly ports?: readonly [number, number]
  /** Default: any. */
  readonly localPort?: number
}

/** What the NAT in front of a host does, seen from a STUN responder on these ports of the relay host. */
export async function probeNat(host: SiteHost, options: NatProbeOptions = {}): Promise<NatReport> {
  const { server = 'relay.test', ports = [3478, 3479], localPort = 0 } = options
  return run(host, 'nat-probe', [server, ...ports.map(String), `${localPort}`])
}

/** How many of `count` requests to the responder are answered, and how fast. */
export async function probeLine(
  host: SiteHost,
  { server = 'relay.test', count = 5, waitMs = 1_000 } = {},
): Promise<LineReport> {
  return run(host, 'line-probe', [server, '3478', `${count}`, `${waitMs}`])
}

/** Which mapping protocols the host's router speaks; leaves UDP ports from `port` on mapped by those that do. */
export async function probePortMapper(host: SiteHost, port: number): Promise<PortMapperReport> {
  const gateway = host.addresses.v4?.replace(/\d+$/, '1') ?? ''
  return run(host, 'port-mapper-probe', [gateway, `${port}`])
}

async function run(host: SiteHost, name: string, args: readonly string[]) {
  const { code, stdout, stderr } = await host.exec(process.execPath, [join(import.meta.dirname, `${name}.ts`), ...args])
  if (code !== 0) throw new LabError('command-failed', `${name} on ${host.name} ended with ${code}: ${stderr}`)
  return JSON.parse(stdout)
}
