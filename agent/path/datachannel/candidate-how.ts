import type { DirectHow } from '../../../common/wire/candidate.ts'
import { addressScope, type Endpoint, sameEndpoint } from '../../../common/wire/endpoint.ts'
import type { IceCandidate } from './ice-candidate.ts'

/** What both ends know of the pair that ICE chose. */
export interface ChosenPair {
  readonly remote: Endpoint
  /** Our own endpoint as the peer sees it. */
  readonly outside: Endpoint | undefined
  /** The outside endpoint of our router's port mapping, if we have one. */
  readonly mapped: Endpoint | undefined
  /** The addresses of our own interfaces, with our port. */
  readonly localHosts: readonly Endpoint[]
  readonly theirs: readonly IceCandidate[]
}

/** How a path was made, in the words of `status`. Both ends come to the same answer, as each looks at both ends. */
export function howOf(pair: ChosenPair): DirectHow {
  const { remote, outside, mapped, localHosts, theirs } = pair
  const scope = addressScope(remote.address)
  if (scope === 'private' || scope === 'link-local' || scope === 'loopback') return 'lan'
  if (remote.address.includes(':')) return 'ipv6'
  const known = theirs.find(candidate => sameEndpoint(candidate.endpoint, remote))
  if (known?.mapped) return 'mapped'
  if (outside && mapped && sameEndpoint(outside, mapped)) return 'mapped'
  const open = (endpoint: Endpoint) => addressScope(endpoint.address) === 'public'
  if (known?.type === 'host' && open(remote)) return 'public'
  if (outside && open(outside) && localHosts.some(host => sameEndpoint(host, outside))) return 'public'
  return 'punched'
}

/** Our own end of a pair: ICE names our outside endpoint instead where a NAT stands before us. */
export function localOf(
  pair: { readonly local: Endpoint; readonly remote: Endpoint },
  localHosts: readonly Endpoint[],
): Endpoint {
  if (localHosts.some(host => sameEndpoint(host, pair.local))) return pair.local
  const family = (endpoint: Endpoint) => endpoint.address.includes(':')
  return localHosts.find(host => family(host) === family(pair.remote)) ?? pair.local
}
