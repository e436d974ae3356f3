import type { Endpoint } from '../../common/wire/endpoint.ts'
import type { ReachBook } from './reach-book.ts'
import type { LookFromOutside } from './reach-keeper.ts'
import type { Verdict } from './reach-state.ts'

/** One look from outside at a TCP endpoint of ours. That it was reached we believe only if we saw it ourselves. */
export async function checkReach(
  endpoint: Endpoint,
  { book, look, signal }: { readonly book: ReachBook; readonly look: LookFromOutside; readonly signal: AbortSignal },
): Promise<Verdict> {
  using probe = book.expect('tcp')
  const verdict = await look('tcp', endpoint, probe.nonce, signal)
  if (probe.seen) return 'reached'
  return verdict === 'reached' ? 'unknown' : verdict
}
