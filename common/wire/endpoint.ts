import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net'
import { addressFromBytes, addressToBytes } from './address-bytes.ts'
import { sameBytes } from './bytes.ts'

/** An IP address (never a name) with a port, 1 to 65535. */
export interface Endpoint {
  readonly address: string
  readonly port: number
}

/** `192.0.2.1:80` or `[2001:db8::1]:80`. */
export function formatEndpoint(endpoint: Endpoint): string {
  return endpoint.address.includes(':')
    ? `[${endpoint.address}]:${endpoint.port}`
    : `${endpoint.address}:${endpoint.port}`
}

/** The endpoint in a text of the form that `formatEndpoint` writes, or undefined. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([0-9.]{7,15})):([1-9]\d{0,4})$/.exec(text)
  if (!match) return undefined
  const address = match[1] ?? match[2] ?? ''
  const port = Number(match[3])
  if (isIP(address) !== (match[1] === undefined ? 4 : 6) || port > 65535) return undefined
  return { address, port }
}

export function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.port === b.port && a.address === b.address
}

/** `::ffff:192.0.2.1`, as a dual-stack socket reports an IPv4 peer, without its prefix. */
export function plainAddress(address: string): string {
  const match = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)
  return match?.[1] ?? address
}

/** Whether two texts name the same address: IPv6 has many for each, and one that carries IPv4 is that address. */
export function sameAddress(a: string, b: string): boolean {
  const [one, other] = [plainAddress(a), plainAddress(b)]
  if (one === other) return true
  if (!isIPv6(one) || !isIPv6(other) || one.includes('%') || other.includes('%')) return false
  return sameBytes(addressToBytes(one), addressToBytes(other))
}

/** Where an address can be reached from. `carrier` is RFC 6598 space, used between a carrier's NAT and its homes. */
export type AddressScope = 'public' | 'private' | 'carrier' | 'link-local' | 'loopback' | 'unusable'

export function addressScope(address: string): AddressScope {
  const family = isIP(address)
  if (family === 0) return 'unusable'
  const plain = plainAddress(address).replace(/%.*$/, '')
  const type = isIPv4(plain) ? 'ipv4' : 'ipv6'
  for (const [scope, list] of SCOPES) {
    if (list.check(plain, type)) return scope
  }
  for (const [at, list] of EMBEDDING) {
    if (type === 'ipv6' && list.check(plain, type)) {
      return addressScope(addressFromBytes(addressToBytes(plain).subarray(at, at + 4)))
    }
  }
  return 'public'
}

/** RFC 6890 and its registry, as far as an address can turn up as a candidate. */
const SCOPES: ReadonlyArray<readonly [AddressScope, BlockList]> = [
  ['loopback', block('127.0.0.0/8', '::1/128')],
  ['private', block('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7')],
  ['carrier', block('100.64.0.0/10')],
  ['link-local', block('169.254.0.0/16', 'fe80::/10')],
  // 2001::/32 is Teredo, and 64:ff9b:1::/48 leads wherever a local NAT64 may (RFC 8215).
  ['unusable', block('0.0.0.0/8', '224.0.0.0/3', '::/128', 'ff00::/8', '2001::/32', '64:ff9b:1::/48')],
]

/** IPv6 addresses that lead to the IPv4 address in them, from this byte on; its scope is theirs. */
const EMBEDDING: ReadonlyArray<readonly [at: number, list: BlockList]> = [
  [2, block('2002::/16')], // 6to4: RFC 3056
  [12, block('::/96', '64:ff9b::/96')], // IPv4-compatible: RFC 4291 §2.5.5.1; NAT64: RFC 6052
]

function block(...subnets: readonly string[]): BlockList {
  const list = new BlockList()
  for (const subnet of subnets) {
    const [network = '', prefix] = subnet.split('/')
    list.addSubnet(network, Number(prefix), network.includes(':') ? 'ipv6' : 'ipv4')
  }
  return list
}
