import type { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { addressScope, type Endpoint } from '../common/wire/endpoint.ts'

/** By what names agents may have dialled a relay. */
export interface OwnNames {
  /** `host:port` of the `url` in the relay's config; it is the only name then. */
  readonly url: string | undefined
  /** The certificate that is served, with TLS. */
  readonly certificate: Pick<X509Certificate, 'checkHost' | 'checkIP'> | undefined
  /** Addresses that the config says are the relay's; behind a one-to-one NAT no connection shows them. */
  readonly addresses: readonly string[]
}

/**
 * Why the relay cannot be the one that an agent dialled as `name` (`host:port`), with the remedy; undefined when it is.
 * An agent that knows a relay by URL alone names that one in its proof, and a hostile relay could hand the proof on to
 * us: a name that cannot be ours is refused. `local` is where the agent's connection arrived.
 */
export function whyNotOurs(name: string, own: OwnNames, local: Endpoint): string | undefined {
  if (own.url !== undefined) {
    return name === own.url ? undefined : `this relay is ${own.url}; correct the url of this relay in the config`
  }
  const { host, port } = split(name)
  const isAddress = isIP(host) !== 0
  if (own.certificate && (isAddress ? own.certificate.checkIP(host) : own.certificate.checkHost(host)) !== undefined) {
    return undefined
  }
  const isHere = isAddress
    ? [local.address, ...own.addresses].some(address => canonical(address) === canonical(host))
    : host === 'localhost' && addressScope(local.address) === 'loopback'
  // The port too: another one of the same address may be anybody's, on a shared machine or behind a carrier's NAT.
  if (isHere && port === local.port) return undefined
  // Without TLS a name proves nothing to anybody, and behind a proxy or a one-to-one NAT we cannot know ours: refusing
  // would keep honest agents out and hostile relays not. `url` makes it strict.
  if (!own.certificate && !isAddress) return undefined
  const unknowable = own.addresses.length === 0 && addressScope(local.address) !== 'public'
  if (!own.certificate && unknowable && addressScope(host) === 'public') return undefined
  const remedy = 'set "url" in the relay\'s config to the URL that agents use'
  const orAddress = isAddress && port === local.port ? ', or "stun.addresses" to its public address' : ''
  return `this relay does not know that it is ${name.slice(0, 100)}; ${remedy}${orAddress}`
}

function split(name: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([^[\]]+)\]|([^[\]:]+)):(\d{1,5})$/.exec(name)
  return { host: match?.[1] ?? match?.[2] ?? '', port: Number(match?.[3]) }
}

/** IPv6 addresses can be written in several ways; the URL parser has one. */
function canonical(address: string): string {
  return isIP(address) === 6 ? (URL.parse(`http://[${address}]`)?.hostname ?? address) : address
}
