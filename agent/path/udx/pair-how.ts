import type { Candidate, DirectHow } from '../../../common/wire/candidate.ts'
import { addressScope, type Endpoint, sameEndpoint } from '../../../common/wire/endpoint.ts'

/** What the nominating end knows of a pair that answers. */
export interface PairView {
  readonly remote: Endpoint
  /** How the peer learnt of that address; undefined for one that it did not tell. */
  readonly told: DirectHow | undefined
  /** Our own endpoint as the peer sees it. */
  readonly outside: Endpoint
  /** How we told the peer of that; undefined where we did not. */
  readonly ownTold: DirectHow | undefined
}

/** How a path between the two was made, in the words of `status`; alike for both, as it looks at both ends. */
export function howOfPair({ remote, told, outside, ownTold }: PairView): DirectHow {
  const scope = addressScope(remote.address)
  if (scope === 'private' || scope === 'link-local' || scope === 'loopback') return 'lan'
  if (remote.address.includes(':')) return 'ipv6'
  if (told === 'mapped' || ownTold === 'mapped') return 'mapped'
  if (told === 'public') return 'public'
  return ownTold === 'public' && addressScope(outside.address) === 'public' ? 'public' : 'punched'
}

/** How a candidate of this endpoint was told. */
export function toldHow(candidates: readonly Candidate[], endpoint: Endpoint): DirectHow | undefined {
  return candidates.find(candidate => candidate.kind === 'udp' && sameEndpoint(candidate.endpoint, endpoint))?.how
}

/** Our own end of a pair, as one of our interfaces has it; a socket that listens on all of them knows only its port. */
export function localOfPair(own: readonly Candidate[], remote: Endpoint, bound: Endpoint): Endpoint {
  const isIpv6 = (endpoint: Endpoint) => endpoint.address.includes(':')
  const fits = ({ kind, endpoint }: Candidate) =>
    kind === 'udp' && endpoint.port === bound.port && isIpv6(endpoint) === isIpv6(remote)
  const near = addressScope(remote.address)
  // In the order of candidates an address of an interface comes before one that only the outside sees.
  const ours = own.filter(candidate => fits(candidate) && candidate.how !== 'mapped' && candidate.how !== 'punched')
  const sameNetwork =
    near === 'public' ? undefined : ours.find(({ endpoint }) => addressScope(endpoint.address) === near)
  return (sameNetwork ?? ours[0])?.endpoint ?? bound
}
