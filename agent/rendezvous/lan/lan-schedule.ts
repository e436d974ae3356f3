/** When an agent says something on a LAN unasked, as pure functions. `chance` is 0 to 1. */

/** RFC 6762 §8.3: up to eight, twice as far apart each time; Wi-Fi drops one multicast in three on bad days. */
const ANNOUNCE_AT_MS = [0, 1_000, 3_000, 7_000, 15_000, 31_000] as const

/** Milliseconds until the next announcement after so many; undefined: it has been said. A mere change of names is said once. */
export function announceDelayMs(said: number, renamed: boolean): number | undefined {
  const at = ANNOUNCE_AT_MS[said]
  if (at === undefined || (renamed && said > 0)) return undefined
  return at - (ANNOUNCE_AT_MS[said - 1] ?? 0)
}

/** RFC 6762 §5.2: a second after the first, then twice as far apart each time, up to an hour. */
export function queryDelayMs(asked: number, chance: number): number {
  if (asked === 0) return 0
  const apartMs = Math.min(1_000 * 2 ** (asked - 1), 3_600_000)
  // Many machines come back at once after a power cut.
  return apartMs * (1 + chance / 10)
}

/** RFC 6762 §6: others may answer, too, and not all in the same moment. */
export function answerDelayMs(chance: number): number {
  return 20 + chance * 100
}

/**
 * Until a socket that failed is opened again: an address that just came is not ours to use before it is known to be nobody
 * else's (RFC 4862 §5.4), which takes a second; a port that another program holds alone stays so.
 */
export function reopenDelayMs(failures: number): number {
  return Math.min(1_000 * 2 ** (failures - 1), 60_000)
}

/** Names that stay tell where somebody is. Not to the second, or the moment would tell as much. */
export function renameDelayMs(chance: number): number {
  return (12 + 6 * chance) * 60_000
}
