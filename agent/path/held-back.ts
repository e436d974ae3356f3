/** A TCP sender on a line, as far as it can be told from here. */
export interface TcpFlow {
  /** Acknowledged bytes per ms. */
  readonly rate: number
  /** Of the line, without a queue. */
  readonly rttMs: number
  /** The share of its segments that the kernel sent again; undefined where it does not tell. */
  readonly resent: number | undefined
}

/** Fewer are what a full queue now and then drops, on the best of lines. */
const LOSSY = 0.0002
const SEGMENT_BYTES = 1_448
/** What a loss-based congestion control carries at most, in this many multiples of the formula. */
const MULTIPLE = 2.5
/**
 * Linux lets 4 MiB of a connection be under way, about half of which is its own bookkeeping. Where a round trip takes
 * about as much, the sender stands still whenever something has to be sent again.
 */
const BUFFER_BYTES = 1_000_000

/**
 * Whether losses hold this sender back, and not what the line takes: then UDX will carry more. By the formula of Mathis et
 * al. (1997), 1.22 segments per round trip and root of the loss rate, and by the kernel's buffer. `clean`: nothing is
 * lost, so UDX has nothing to be better at; `unknown`: only a trial can tell.
 */
export function heldBack({ rate, rttMs, resent }: TcpFlow): 'clean' | 'held-back' | 'unknown' {
  if (resent === undefined) return 'unknown'
  if (resent < LOSSY) return 'clean'
  const byLoss = (1.22 * SEGMENT_BYTES) / (Math.max(rttMs, 1) * Math.sqrt(resent))
  return rate <= MULTIPLE * byLoss || rate * rttMs >= BUFFER_BYTES ? 'held-back' : 'unknown'
}
