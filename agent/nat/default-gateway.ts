import { readFileSync } from 'node:fs'
import { addressFromBytes } from '../../common/wire/address-bytes.ts'

/** The router that an interface sends to by default. */
export interface DefaultGateway {
  readonly interfaceName: string
  readonly address: string
}

/** Route flags of Linux's `<linux/route.h>`: usable, and by way of a gateway. */
const RTF_UP = 0x1
const RTF_GATEWAY = 0x2

/** The IPv4 default gateways in the text of `/proc/net/route`, the one of the lowest metric first. */
export function parseDefaultGateways(table: string): readonly DefaultGateway[] {
  const found: (DefaultGateway & { readonly metric: number })[] = []
  for (const line of table.split('\n').slice(1)) {
    const [interfaceName, destination, gateway, flags, , , metric, mask] = line.trim().split(/\s+/)
    if (!interfaceName || destination !== '00000000' || mask !== '00000000') continue
    if (!gateway || !/^[0-9A-F]{8}$/i.test(gateway) || (Number(`0x${flags}`) & (RTF_UP | RTF_GATEWAY)) !== 3) continue
    found.push({ interfaceName, address: addressOf(gateway), metric: Number(metric) || 0 })
  }
  return found.toSorted((a, b) => a.metric - b.metric).map(({ interfaceName, address }) => ({ interfaceName, address }))
}

/** The kernel prints the address as one number in the machine's byte order; all our machines are little-endian. */
function addressOf(hex: string): string {
  return [...Buffer.from(hex, 'hex')].toReversed().join('.')
}

/**
 * The IPv6 default gateways in the text of `/proc/net/ipv6_route`, the one of the lowest metric first. Mostly they are
 * link-local addresses, which mean something only together with the interface.
 */
export function parseDefaultGateways6(table: string): readonly DefaultGateway[] {
  const found: (DefaultGateway & { readonly metric: number })[] = []
  for (const line of table.split('\n')) {
    const [destination, prefix, , , gateway, metric, , , flags, interfaceName] = line.trim().split(/\s+/)
    if (!interfaceName || prefix !== '00' || !/^0{32}$/.test(destination ?? '')) continue
    if (!gateway || !/^[0-9a-f]{32}$/i.test(gateway) || (Number(`0x${flags}`) & (RTF_UP | RTF_GATEWAY)) !== 3) continue
    const address = addressFromBytes(Buffer.from(gateway, 'hex'))
    const zone = address.startsWith('fe80:') ? `%${interfaceName}` : ''
    found.push({ interfaceName, address: `${address}${zone}`, metric: Number(`0x${metric}`) })
  }
  return found.toSorted((a, b) => a.metric - b.metric).map(({ interfaceName, address }) => ({ interfaceName, address }))
}

/** The IPv4 default gateways now; none where there is no such table. */
export function readDefaultGateways(): readonly DefaultGateway[] {
  return parseDefaultGateways(read('/proc/net/route'))
}

/** The IPv6 default gateways now. */
export function readDefaultGateways6(): readonly DefaultGateway[] {
  return parseDefaultGateways6(read('/proc/net/ipv6_route'))
}

function read(table: string): string {
  try {
    return readFileSync(table, 'latin1')
  } catch {
    return ''
  }
}
