import type { InterfaceAddress } from '../../../common/platform/network-interfaces.ts'
import { addressToBytes } from '../../../common/wire/address-bytes.ts'
import { addressScope } from '../../../common/wire/endpoint.ts'
import { MAX_LAN_ADDRESSES } from '../../../common/wire/lan-announcement.ts'
import { isTunnelInterface, isVirtualInterface } from '../../nat/interface-kind.ts'

/** One network that this machine is directly on. */
export interface LanLinkFacts {
  readonly interfaceName: string
  /** Ours there, private ones; the first one speaks. */
  readonly ipv4: readonly { readonly address: string; readonly prefixLength: number }[]
  /** Link-local, without zone. */
  readonly ipv6: string | undefined
  /** Where we are reached there. */
  readonly addresses: readonly string[]
}

/** A router has some; more are no homes. */
const MAX_LINKS = 8

/**
 * The links to be seen on. Not on tunnels and bridges of containers, which lead to no machine of the home; not on lines to
 * a provider, whose IPv4 addresses are all public or a carrier's.
 */
export function lanLinks(
  addresses: readonly InterfaceAddress[],
  linkLocal: ReadonlyMap<string, string>,
): readonly LanLinkFacts[] {
  const names = new Set([...addresses.map(({ interfaceName }) => interfaceName), ...linkLocal.keys()])
  return [...names]
    .filter(name => !isVirtualInterface(name) && !isTunnelInterface(name))
    .flatMap(name => linkOf(name, addresses, linkLocal.get(name)) ?? [])
    .slice(0, MAX_LINKS)
}

function linkOf(
  interfaceName: string,
  all: readonly InterfaceAddress[],
  ipv6: string | undefined,
): LanLinkFacts | undefined {
  const own = all.filter(address => address.interfaceName === interfaceName && !address.loopback)
  const four = own.filter(({ family }) => family === 4)
  const ipv4 = four
    .filter(({ address }) => isLocal(address))
    .map(({ address, prefixLength }) => ({ address, prefixLength }))
  if (four.length > 0 && ipv4.length === 0) return undefined
  if (four.length === 0 && ipv6 === undefined) return undefined
  const unique = own.filter(({ family, address }) => family === 6 && isLocal(address)).map(({ address }) => address)
  const reached = [...ipv4.slice(0, 2).map(({ address }) => address), ...(ipv6 === undefined ? [] : [ipv6]), ...unique]
  return { interfaceName, ipv4, ipv6, addresses: reached.slice(0, MAX_LAN_ADDRESSES) }
}

/** RFC 6762 §11: whether a packet came from a machine on the link, as far as its address tells. */
export function isOnLink(address: string, link: LanLinkFacts): boolean {
  if (address.includes(':'))
    return address.toLowerCase().startsWith('fe80:') && address.endsWith(`%${link.interfaceName}`)
  const bits = toBits(address)
  return link.ipv4.some(({ address: own, prefixLength }) => {
    const shift = 32n - BigInt(prefixLength)
    return bits >> shift === toBits(own) >> shift
  })
}

/** The address as it is to be dialled from this link; undefined where nothing of a home can be. */
export function reachedFrom(address: string, link: LanLinkFacts): string | undefined {
  if (!isLocal(address)) return undefined
  if (!address.includes(':') || addressScope(address) !== 'link-local') return address
  // Our own would lead to any program of ours.
  return address === link.ipv6 ? undefined : `${address}%${link.interfaceName}`
}

function isLocal(address: string): boolean {
  const scope = addressScope(address)
  return scope === 'private' || scope === 'link-local'
}

function toBits(ipv4: string): bigint {
  return addressToBytes(ipv4).reduce((bits, byte) => (bits << 8n) | BigInt(byte), 0n)
}
