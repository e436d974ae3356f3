import type { Candidate } from '../../common/wire/candidate.ts'
import { addressScope } from '../../common/wire/endpoint.ts'

/**
 * The candidates that are worth dialling. An address of this very machine is none, whatever its kind, unless the peer is
 * known to be here: it could point us at our own local services with it. A loopback address is taken only where there is
 * nothing else on our side too.
 */
export function reachable(
  theirs: readonly Candidate[],
  ours: readonly Candidate[],
  isOwnAddress: (address: string) => boolean,
): readonly Candidate[] {
  const scopeOf = ({ endpoint }: Candidate) => addressScope(endpoint.address)
  const onlyLoopback = ours.length > 0 && ours.every(candidate => scopeOf(candidate) === 'loopback')
  return theirs.filter(candidate => {
    const scope = scopeOf(candidate)
    if (scope === 'loopback') return onlyLoopback
    return (
      (scope === 'public' || scope === 'private' || scope === 'carrier') && !isOwnAddress(candidate.endpoint.address)
    )
  })
}
