import type { Candidate } from '../../common/wire/candidate.ts'

/**
 * When to try for a direct path, as pure functions. Every change of the network is a reason of its own; what stands
 * here is the schedule without one.
 */

/** While user bytes flow over a relay. */
const BUSY_RETRY_MS = [3_000, 8_000, 20_000, 40_000, 60_000] as const
/** While the session is idle. */
const IDLE_RETRY_MS = [15_000, 60_000, 180_000, 600_000] as const

/** Milliseconds until the next try, after so many that gave nothing. */
export function directRetryMs(failures: number, busy: boolean): number {
  const steps = busy ? BUSY_RETRY_MS : IDLE_RETRY_MS
  return steps[Math.min(Math.max(failures - 1, 0), steps.length - 1)] ?? 60_000
}

/** While a direct path over UDP is used: TCP costs less, but what works is not bad. */
const BUSY_UPGRADE_MS = [10_000, 30_000, 60_000] as const
/** The first try may have lost a packet; the next ones are for routers that change. */
const IDLE_UPGRADE_MS = [15_000, 60_000, 600_000, 3_600_000] as const

/** Milliseconds until TCP is tried again, after so many tries. */
export function upgradeRetryMs(tries: number, busy: boolean): number {
  const steps = busy ? BUSY_UPGRADE_MS : IDLE_UPGRADE_MS
  return steps[Math.min(tries, steps.length - 1)] ?? 60_000
}

/** Milliseconds that TCP gets alone when it probably works: a UDP path made meanwhile would be left again at once. */
const TCP_HEAD_START_MS = 400

/** How long the UDP attempt waits for TCP, given the peer's candidates. */
export function udpDelayMs(remote: readonly Candidate[]): number {
  const open = remote.some(
    ({ kind, how }) => kind === 'tcp' && (how === 'public' || how === 'mapped' || how === 'ipv6'),
  )
  return open ? TCP_HEAD_START_MS : 0
}

/** Tries to reach a peer that we want to be connected with: quick at first, since most breaks are short. */
const RECALL_MS = [200, 500, 1_000, 2_000, 4_000] as const
const RECALL_IDLE_MS = 60_000
const RECALL_QUICK_TRIES = 15
/** What waits then is streams, and they wait for two minutes. */
const RECALL_WAITING_MS = 1_000

/** Milliseconds until the next call; `waiting` says that open streams wait for it. */
export function recallMs(failures: number, waiting: boolean, chance: number): number {
  const step = RECALL_MS[Math.min(failures, RECALL_MS.length - 1)] ?? 4_000
  const quick = waiting ? Math.min(step, RECALL_WAITING_MS) : step
  const delay = waiting || failures < RECALL_QUICK_TRIES ? quick : RECALL_IDLE_MS
  return delay * (0.75 + chance / 2)
}

/** A call takes some five round trips over the relay, each of which may lose a packet: how long it may take before another. */
export function hangingMs(rttMs: number, calls: number): number {
  return Math.min(Math.max(1_000, 10 * rttMs) * 1.5 ** (calls - 1), 10_000)
}
