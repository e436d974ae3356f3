import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { Endpoint } from '../../common/wire/endpoint.ts'

/** The endpoints behind `host:port` texts; a name that does not resolve now is left out. IPv4 before IPv6. */
export async function resolveStunHosts(hosts: readonly string[]): Promise<readonly Endpoint[]> {
  const found = await Promise.all(hosts.map(resolveOne))
  return found.flat()
}

async function resolveOne(host: string): Promise<readonly Endpoint[]> {
  const match = /^\[?(.+?)\]?:(\d{1,5})$/.exec(host)
  if (!match) return []
  const [, name = '', digits] = match
  const port = Number(digits)
  if (isIP(name)) return [{ address: name, port }]
  try {
    const addresses = await lookup(name, { all: true, order: 'ipv4first' })
    return addresses.slice(0, 4).map(({ address }) => ({ address, port }))
  } catch {
    return []
  }
}
