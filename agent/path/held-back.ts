/** A TCP sender on a line, as far as it can be told from here. */
export interface TcpFlow {
  /** Acknowledged bytes per ms. */
  readonly rate: number
  /** Of the line, without a queue. */
  readonly rttMs: number
  /** The share of its segments that the kernel sent again; undefined where it does not tell. */
  readonly resent: number | undefined
  /** The most that the kernel lets one connection keep; undefined where it does not tell. */
  readonly bufferBytes: number | undefined
}

/** Fewer are what a full queue now and then drops, on the best of lines. */
const LOSSY = 0.0002
const SEGMENT_BYTES = 1_448
/** What a loss-based congestion control carries at most, in this many multiples of the formula. */
const MULTIPLE = 2.5
/** Linux's; less on a machine with less than 512 MiB. */
const BUFFER_BYTES = 4 * 1024 * 1024
/**
 * About half of the buffer is the kernel's own bookkeeping, and what was lost keeps all behind it there for another round
 * trip. Where one takes this share, the sender stands still whenever something has to be sent again.
 */
const BUFFER_SHARE = 1 / 4

/**
 * Whether losses hold this sender back, and not what the line takes: then UDX will carry more. By the formula of Mathis et
 * al. (1997), 1.22 segments per round trip and root of the loss rate, and by the kernel's buffer. `clean`: nothing is
 * lost, so UDX has nothing to be better at; `unknown`: only a trial can tell.
 */
export function heldBack({
  rate,
  rttMs,
  resent,
  bufferBytes = BUFFER_BYTES,
}: TcpFlow): 'clean' | 'held-back' | 'unknown' {
  if (resent === undefined) return 'unknown'
  if (resent < LOSSY) return 'clean'
  const byLoss = (1.22 * SEGMENT_BYTES) / (Math.max(rttMs, 1) * Math.sqrt(resent))
  return rate <= MULTIPLE * byLoss || rate * rttMs >= BUFFER_SHARE * bufferBytes ? 'held-back' : 'unknown'
}
