import { BlockList, isIPv4 } from 'node:net'
import type { InterfaceAddress } from '../../common/platform/network-interfaces.ts'
import { addressScope } from '../../common/wire/endpoint.ts'
import type { DefaultGateway } from './default-gateway.ts'
import { isTunnelInterface, isVirtualInterface } from './interface-kind.ts'

const MAX_INTERFACES = 8

/**
 * Own IPv4 addresses behind which a home router may be, one per link: the router takes what comes from two addresses
 * for two machines, so it must always be the same one, that of the default route.
 */
export function homeLinks(
  interfaces: readonly InterfaceAddress[],
  gateways: readonly DefaultGateway[],
): readonly InterfaceAddress[] {
  const usable = interfaces.filter(({ address, loopback, interfaceName }) => {
    if (loopback || !isIPv4(address) || isVirtualInterface(interfaceName) || isTunnelInterface(interfaceName)) {
      return false
    }
    const scope = addressScope(address)
    return scope === 'private' || scope === 'carrier'
  })
  const distance = ({ interfaceName }: InterfaceAddress) => {
    const at = gateways.findIndex(gateway => gateway.interfaceName === interfaceName)
    return at < 0 ? gateways.length : at
  }
  const links: InterfaceAddress[] = []
  for (const entry of usable.toSorted((a, b) => distance(a) - distance(b))) {
    if (!links.some(link => isOnLink(entry.address, link))) links.push(entry)
  }
  return links.slice(0, MAX_INTERFACES)
}

/** True when the address is on the link that the interface is attached to. */
export function isOnLink(address: string, entry: InterfaceAddress): boolean {
  const link = new BlockList()
  link.addSubnet(entry.address, entry.prefixLength, 'ipv4')
  return link.check(address, 'ipv4')
}
