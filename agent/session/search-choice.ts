import type { Situation } from '../../common/wire/situation.ts'

/** What a NAT means for whoever wants to aim at a port behind it. */
type Side = 'easy' | 'hard' | 'closed'

function sideOf({ udp }: Situation): Side {
  switch (udp.mapping) {
    case 'none':
    case 'endpoint-independent':
      return 'easy'
    case 'address-dependent':
    case 'address-and-port-dependent':
      return 'hard'
    case 'blocked':
    case 'unknown':
      return 'closed'
    default:
      return udp.mapping satisfies never
  }
}

/** What an earlier search between the two found, as `PathMemory` keeps it. */
export type SearchMemory = 'udp/window' | 'udp/aim' | 'none'

/**
 * Whether a search over UDP may find what the cheap ways did not: `now` beside them, because it did before; `later`
 * after them; `never` when neither NAT is hard, when no UDP passes, or when both are hard and were found unpredictable.
 */
export function searchChoice(
  own: Situation,
  theirs: Situation | undefined,
  before: string | undefined,
): 'now' | 'later' | 'never' {
  if (!theirs) return 'never'
  const sides = [sideOf(own), sideOf(theirs)]
  if (sides.includes('closed') || !sides.includes('hard')) return 'never'
  if (before === 'none') return sides.includes('easy') ? 'later' : 'never'
  return before === 'udp/window' || before === 'udp/aim' ? 'now' : 'later'
}

/** A search that found nothing, as one in 250 does by chance, is worth another one soon; and then less and less. */
const AGAIN_MS = [10_000, 120_000, 600_000, 3_600_000] as const

/** Milliseconds from the end of a search to the next one, after so many that found nothing between the same networks. */
export function searchAgainMs(failures: number): number {
  return failures <= 0 ? 0 : (AGAIN_MS[Math.min(failures, AGAIN_MS.length) - 1] ?? 3_600_000)
}

/** Sooner than a gate forgets whom it turned away. */
const BUSY_AGAIN_MS = [4_000, 6_000, 8_000, 10_000, 10_000, 10_000, 10_000, 10_000, 20_000, 30_000] as const

/** Milliseconds until a busy peer is asked again, after so many times; undefined: then it counts as one that failed. */
export function busyAgainMs(times: number): number | undefined {
  return BUSY_AGAIN_MS[times]
}
