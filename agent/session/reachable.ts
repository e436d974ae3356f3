import type { Candidate } from '../../common/wire/candidate.ts'
import { addressScope } from '../../common/wire/endpoint.ts'

/**
 * The candidates that are worth dialling. A loopback address names this very machine, so a peer could point us at our
 * own local services with it; it is taken only where there is nothing but loopback on our side too.
 */
export function reachable(theirs: readonly Candidate[], ours: readonly Candidate[]): readonly Candidate[] {
  const scopeOf = ({ endpoint }: Candidate) => addressScope(endpoint.address)
  const onlyLoopback = ours.length > 0 && ours.every(candidate => scopeOf(candidate) === 'loopback')
  return theirs.filter(candidate => {
    const scope = scopeOf(candidate)
    return scope === 'public' || scope === 'private' || scope === 'carrier' || (scope === 'loopback' && onlyLoopback)
  })
}
