import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { DefaultGateway } from './default-gateway.ts'

/**
 * A name for the network that we are in, which tells a reader of the file nothing: its router, by hardware address where
 * the kernel knows it, and the address outside. Undefined before the latter is known, for half a name names other networks.
 */
export function networkFingerprint(
  gateways: readonly DefaultGateway[],
  arpTable: string,
  outsideAddress: string | undefined,
): string | undefined {
  if (outsideAddress === undefined) return undefined
  const routers = gateways.map(({ address }) => `${address} ${hardwareAddress(arpTable, address)}`)
  return createHash('sha256')
    .update(`culvert network\n${routers.join('\n')}\n${outsideAddress}`)
    .digest('hex')
    .slice(0, 24)
}

/** In the text of `/proc/net/arp`; empty for a router that the kernel has not heard. */
export function hardwareAddress(table: string, address: string): string {
  for (const line of table.split('\n').slice(1)) {
    const [ip, , flags, hardware] = line.trim().split(/\s+/)
    if (ip === address && flags !== '0x0') return hardware ?? ''
  }
  return ''
}

/** The kernel's table of IPv4 neighbours; empty where there is none. */
export function readArpTable(): string {
  try {
    return readFileSync('/proc/net/arp', 'latin1')
  } catch {
    return ''
  }
}
