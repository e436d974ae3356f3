import { isIP, isIPv6 } from 'node:net'
import { addressScope } from '../../common/wire/endpoint.ts'

/** Where a service runs: `tcp://HOST:PORT`, `udp://HOST:PORT` or `unix:/PATH`. */
export type Target =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'udp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

/** Where a forward listens: as a service's target, or `socks5://HOST:PORT`. */
export type Address = Target | { readonly kind: 'socks5'; readonly host: string; readonly port: number }

/** `sun_path` of Linux has 108 bytes, the last one zero. */
export const UNIX_PATH_BYTES = 107

/** The address in a text, or undefined. Port 0 is none; an IPv6 address stands in brackets. */
export function parseAddress(text: string): Address | undefined {
  if (text.length > 1024) return undefined
  if (text.startsWith('unix:')) return unixAddress(text.slice('unix:'.length))
  for (const kind of ['tcp', 'udp', 'socks5'] as const) {
    if (!text.startsWith(`${kind}://`)) continue
    const parts = parseHostPort(text.slice(`${kind}://`.length))
    return parts ? { kind, ...parts } : undefined
  }
  return undefined
}

/** The same for where a service runs. */
export function parseTarget(text: string): Target | undefined {
  const address = parseAddress(text)
  return address?.kind === 'socks5' ? undefined : address
}

function unixAddress(path: string): Target | undefined {
  // `unix:///run/x` is what other programs write for `unix:/run/x`.
  const plain = path.replace(/^\/{3}/, '/')
  return /^\/(?!\/)[^\0]+$/.test(plain) ? { kind: 'unix', path: plain } : undefined
}

export function formatAddress(address: Address): string {
  if (address.kind === 'unix') return `unix:${address.path}`
  return `${address.kind}://${isIPv6(address.host) ? `[${address.host}]` : address.host}:${address.port}`
}

/** `host:port` with a name, an IPv4 address or an IPv6 address in brackets; undefined when it is none. */
export function parseHostPort(text: string): { readonly host: string; readonly port: number } | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([A-Za-z0-9._-]{1,253})):(\d{1,5})$/.exec(text)
  if (!match) return undefined
  const host = match[1] ?? match[2] ?? ''
  const port = Number(match[3])
  if (port < 1 || port > 65535) return undefined
  return isHost(host, match[1] !== undefined) ? { host, port } : undefined
}

function isHost(host: string, bracketed: boolean): boolean {
  if (bracketed) return isIPv6(host)
  // Digits and dots alone are an IPv4 address or a mistyped one, never a name.
  if (/^[\d.]+$/.test(host)) return isIP(host) === 4
  return host
    .split('.')
    .every(
      (label, index, all) =>
        /^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/.test(label) ||
        (label === '' && index === all.length - 1 && index > 0),
    )
}

/** True when only programs of this machine can connect to it. */
export function isLocalOnly(address: Address): boolean {
  return address.kind === 'unix' || address.host === 'localhost' || addressScope(address.host) === 'loopback'
}

/** True when two listeners at these addresses would be in each other's way. */
export function sameListener(a: Address, b: Address): boolean {
  if (a.kind === 'unix') return b.kind === 'unix' && a.path === b.path
  if (b.kind === 'unix') return false
  if (a.port !== b.port || (a.kind === 'udp') !== (b.kind === 'udp')) return false
  const [hostA, hostB] = [plainHost(a.host), plainHost(b.host)]
  return hostA === hostB || isEveryAddress(hostA) || isEveryAddress(hostB)
}

function plainHost(host: string): string {
  return host.toLowerCase() === 'localhost' ? '127.0.0.1' : host.toLowerCase()
}

function isEveryAddress(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}
