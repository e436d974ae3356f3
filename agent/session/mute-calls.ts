import type { CulvertError, ErrorCode } from '../../common/errors.ts'

/** Ours: a handshake that was given up earlier may just have been one too many. */
const MUTE_MS = 2_000
/** Ours: losses make one or two fail, and a peer that is just gone is known to be soon. */
const MUTE_CALLS = 3

/** The other side's patience may end first: then it closes the pipe. It is busy with those that came to nothing, too. */
const SILENT: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['timed-out', 'aborted', 'peer-unreachable', 'busy'])

/**
 * Handshakes over relays in a row that nothing came of, though the relay took the call: its messages are small, and a
 * handshake is not.
 */
export function countMuteCalls(before: number, reason: CulvertError, tookMs: number): number {
  if (!SILENT.has(reason.code)) return 0
  return tookMs >= MUTE_MS ? before + 1 : before
}

/** Whether so many are a sign of a line that carries small packets only. */
export function areMute(calls: number): boolean {
  return calls >= MUTE_CALLS
}
