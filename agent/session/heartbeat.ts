/**
 * Whether a path still lives, as pure functions of when we sent and when we heard.
 *
 * Only silence while something of ours waits for an answer counts: a path that nobody uses may be silent for long.
 */
export interface Heartbeat {
  readonly heardAt: number
  /** When the oldest thing was sent that nothing has been heard after; undefined when all was answered. */
  readonly awaitingSince: number | undefined
  readonly pingedAt: number
}

/** While streams are open. */
export const BUSY_PING_MS = 2_000
/** Without streams: under the 30 s after which many routers forget a UDP binding. */
export const IDLE_PING_MS = 25_000
const SUSPECT_MIN_MS = 1_000
/** A full queue makes round trips look long; suspicion costs only a call, so it must not wait for death. */
const SUSPECT_MAX_MS = 2_500
export const DEAD_MS = 5_000

export function startHeartbeat(now: number): Heartbeat {
  return { heardAt: now, awaitingSince: undefined, pingedAt: now }
}

export function heard(beat: Heartbeat, now: number): Heartbeat {
  return { ...beat, heardAt: now, awaitingSince: undefined }
}

/** Something was sent that the peer must answer: data (by an acknowledgement) or a ping. */
export function sent(beat: Heartbeat, now: number): Heartbeat {
  return beat.awaitingSince === undefined ? { ...beat, awaitingSince: now } : beat
}

export function pinged(beat: Heartbeat, now: number): Heartbeat {
  return { ...sent(beat, now), pingedAt: now }
}

function suspectAfterMs(rttMs: number): number {
  return Math.min(Math.max(SUSPECT_MIN_MS, 4 * rttMs), SUSPECT_MAX_MS)
}

export type Vital = 'sound' | 'suspect' | 'dead'

export function vitalOf(beat: Heartbeat, rttMs: number, now: number): Vital {
  if (beat.awaitingSince === undefined) return 'sound'
  const silent = now - beat.awaitingSince
  if (silent >= DEAD_MS) return 'dead'
  return silent >= suspectAfterMs(rttMs) ? 'suspect' : 'sound'
}

export function pingDue(beat: Heartbeat, busy: boolean, now: number): boolean {
  const period = busy ? BUSY_PING_MS : IDLE_PING_MS
  return now - Math.max(beat.pingedAt, busy ? 0 : beat.heardAt) >= period
}

/** Milliseconds until something may have to be done again. */
export function nextCheckMs(beat: Heartbeat, busy: boolean, rttMs: number, now: number): number {
  const period = busy ? BUSY_PING_MS : IDLE_PING_MS
  const ping = Math.max(beat.pingedAt, busy ? 0 : beat.heardAt) + period - now
  if (beat.awaitingSince === undefined) return Math.max(ping, 20)
  const silent = now - beat.awaitingSince
  const suspectIn = suspectAfterMs(rttMs) - silent
  return Math.max(Math.min(ping, suspectIn > 0 ? suspectIn : DEAD_MS - silent), 20)
}
