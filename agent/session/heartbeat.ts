/**
 * Whether a path still lives, as pure functions of when we sent and when we heard.
 *
 * Only silence while something of ours waits for an answer counts: a path that nobody uses may be silent for long.
 */
export interface Heartbeat {
  readonly heardAt: number
  /** When the oldest thing was sent that nothing has been heard after; undefined when all was answered. */
  readonly awaitingSince: number | undefined
  /** When the oldest thing was sent since the last answer, be it that other things are heard. */
  readonly unansweredSince: number | undefined
  /** What was heard since then. */
  readonly unansweredBytes: number
  readonly pingedAt: number
}

/** Streams are open; there were some a while ago, so somebody may come back soon; or neither. */
export type Pace = 'busy' | 'recent' | 'idle'

/** A NAT that forgot us is noticed only by what we send; idle: under the 30 s after which many forget a UDP binding. */
export const PING_MS: Readonly<Record<Pace, number>> = { busy: 2_000, recent: 5_000, idle: 25_000 }
/** How long after its last use a session is taken to be used again soon. */
const RECENT_MS = 120_000
const SUSPECT_MIN_MS = 1_000
/** A full queue makes round trips look long; suspicion costs only a call, so it must not wait for death. */
const SUSPECT_MAX_MS = 2_500
export const DEAD_MS = 5_000
/**
 * The peer is heard, but nothing of ours gets an answer: a line that swallows full packets carries its pings and not our
 * data. An answer may also wait in a queue behind what the peer sends; where much comes, this takes longer.
 */
export const STALLED_MS = 4_000
/** Pings, acknowledgements of others and short messages: no queue to wait in. */
export const QUEUE_BYTES = 16 * 1024
export const STALLED_DEAD_MS = 20_000

export function startHeartbeat(now: number): Heartbeat {
  return { heardAt: now, awaitingSince: undefined, unansweredSince: undefined, unansweredBytes: 0, pingedAt: now }
}

export function heard(beat: Heartbeat, now: number, bytes = 0): Heartbeat {
  return { ...beat, heardAt: now, awaitingSince: undefined, unansweredBytes: beat.unansweredBytes + bytes }
}

/** What was heard is the answer to something of ours: an acknowledgement or a pong. */
export function answered(beat: Heartbeat): Heartbeat {
  return { ...beat, unansweredSince: undefined }
}

/** Something was sent that the peer must answer: data (by an acknowledgement) or a ping. */
export function sent(beat: Heartbeat, now: number): Heartbeat {
  const { awaitingSince = now, unansweredSince = now } = beat
  const unansweredBytes = beat.unansweredSince === undefined ? 0 : beat.unansweredBytes
  return { ...beat, awaitingSince, unansweredSince, unansweredBytes }
}

export function pinged(beat: Heartbeat, now: number): Heartbeat {
  return { ...sent(beat, now), pingedAt: now }
}

export function paceOf(busy: boolean, unusedMs: number): Pace {
  if (busy) return 'busy'
  return unusedMs < RECENT_MS ? 'recent' : 'idle'
}

function suspectAfterMs(rttMs: number): number {
  return Math.min(Math.max(SUSPECT_MIN_MS, 4 * rttMs), SUSPECT_MAX_MS)
}

/**
 * Half way to suspicion: late enough that an answer is rarely on its way, and early enough that what the next path needs
 * can be looked at meanwhile, which costs a ping to a relay.
 */
export function isDoubtful(beat: Heartbeat, rttMs: number, now: number): boolean {
  return now - (beat.awaitingSince ?? now) >= suspectAfterMs(rttMs) / 2
}

export type Vital = 'sound' | 'suspect' | 'dead'

export function vitalOf(beat: Heartbeat, rttMs: number, now: number): Vital {
  const silent = now - (beat.awaitingSince ?? now)
  const stalled = now - (beat.unansweredSince ?? now)
  if (silent >= DEAD_MS || stalled >= STALLED_DEAD_MS) return 'dead'
  return silent >= suspectAfterMs(rttMs) || stalled >= stalledAfterMs(beat, rttMs) ? 'suspect' : 'sound'
}

/** A suspect path is sound again only by an answer to what was sent before: a line may carry small packets only. */
export function isRelieved(beat: Heartbeat, suspectAt: number): boolean {
  return beat.unansweredSince === undefined || beat.unansweredSince > suspectAt
}

function stalledAfterMs({ unansweredBytes }: Heartbeat, rttMs: number): number {
  if (unansweredBytes < QUEUE_BYTES) return suspectAfterMs(rttMs)
  return Math.min(Math.max(STALLED_MS, 8 * rttMs), STALLED_DEAD_MS)
}

export function pingDue(beat: Heartbeat, pace: Pace, now: number): boolean {
  return now - quietSince(beat, pace) >= PING_MS[pace]
}

function quietSince({ pingedAt, heardAt }: Heartbeat, pace: Pace): number {
  return pace === 'busy' ? pingedAt : Math.max(pingedAt, heardAt)
}

/** Milliseconds until something may have to be done again. */
export function nextCheckMs(beat: Heartbeat, pace: Pace, rttMs: number, now: number): number {
  const ping = quietSince(beat, pace) + PING_MS[pace] - now
  const suspectMs = suspectAfterMs(rttMs)
  const silence = untilMs(beat.awaitingSince, [suspectMs / 2, suspectMs, DEAD_MS], now)
  const stall = untilMs(beat.unansweredSince, [stalledAfterMs(beat, rttMs), STALLED_DEAD_MS], now)
  return Math.max(Math.min(ping, silence, stall), 20)
}

/** Milliseconds until the next of these ages, in rising order, is reached; not positive when the last one is over. */
function untilMs(since: number | undefined, ages: readonly number[], now: number): number {
  if (since === undefined) return Number.POSITIVE_INFINITY
  const age = now - since
  return (ages.find(next => age < next) ?? ages.at(-1) ?? 0) - age
}
