import type { PingReply } from '../control/control-target.ts'

/** What `ping --json` prints. Times in ms, with a precision of 0.01. */
export interface PingSummary {
  readonly peer: string
  readonly count: number
  readonly received: number
  readonly rttMs: { readonly min: number; readonly p50: number; readonly max: number }
  /** The path of the last reply. */
  readonly path: PingReply['path']
  readonly replies: readonly PingReply[]
}

/** Sums up at least one reply to `count` pings. */
export function pingSummary(peer: string, count: number, replies: readonly PingReply[]): PingSummary {
  const times = replies.map(reply => rounded(reply.rttMs)).toSorted((a, b) => a - b)
  const at = (index: number) => times[Math.max(0, Math.min(times.length - 1, index))] ?? 0
  const path = replies.at(-1)?.path
  if (!path) throw new RangeError('a summary needs a reply')
  const rttMs = { min: at(0), p50: at(Math.ceil(times.length / 2) - 1), max: at(times.length - 1) }
  return { peer, count, received: replies.length, rttMs, path, replies }
}

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100
}
