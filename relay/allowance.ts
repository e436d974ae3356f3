import { type Bucket, fullBucket, refill } from './quota.ts'

/** What one peer, or all together, may send through pipes. `null` = without limit. */
export interface TrafficLimits {
  readonly bytesPerSecond: number | null
  readonly bytesPerDay: number | null
}

/** What has been used: a debt-bearing bucket for the rate, and a day that starts with its first byte. */
export interface Allowance {
  readonly bucket: Bucket
  readonly dayStartedAt: number
  readonly dayBytes: number
}

const DAY_MS = 86_400_000

/** A whole second of the rate may go at once, so that short transfers do not feel the limit. */
const bucketLimits = (bytesPerSecond: number) => ({ perSecond: bytesPerSecond, burst: bytesPerSecond })

export function newAllowance(limits: TrafficLimits, now: number): Allowance {
  return { bucket: fullBucket(bucketLimits(limits.bytesPerSecond ?? 0), now), dayStartedAt: now, dayBytes: 0 }
}

/** The allowance after `bytes` more; they are already on their way, so the rate bucket may go into debt. */
export function spend(allowance: Allowance, limits: TrafficLimits, bytes: number, now: number): Allowance {
  const newDay = now - allowance.dayStartedAt >= DAY_MS
  const filled =
    limits.bytesPerSecond === null
      ? allowance.bucket
      : refill(allowance.bucket, bucketLimits(limits.bytesPerSecond), now)
  return {
    bucket: limits.bytesPerSecond === null ? filled : { tokens: filled.tokens - bytes, filledAt: now },
    dayStartedAt: newDay ? now : allowance.dayStartedAt,
    dayBytes: (newDay ? 0 : allowance.dayBytes) + bytes,
  }
}

/** What the holder may do now: read on, wait for the rate, or stop for the day. */
export function verdictOf(allowance: Allowance, limits: TrafficLimits, now: number): 'go' | 'wait' | 'over' {
  if (isOverDay(allowance, limits, now)) return 'over'
  if (limits.bytesPerSecond === null) return 'go'
  return refill(allowance.bucket, bucketLimits(limits.bytesPerSecond), now).tokens > 0 ? 'go' : 'wait'
}

export function isOverDay(allowance: Allowance, limits: TrafficLimits, now: number): boolean {
  return (
    limits.bytesPerDay !== null && now - allowance.dayStartedAt < DAY_MS && allowance.dayBytes >= limits.bytesPerDay
  )
}

/** True when forgetting it would change nothing: its day is over and its bucket full. */
export function isFresh(allowance: Allowance, limits: TrafficLimits, now: number): boolean {
  if (now - allowance.dayStartedAt < DAY_MS && allowance.dayBytes > 0) return false
  return verdictOf(allowance, limits, now) === 'go'
}
