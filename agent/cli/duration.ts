import { asUsage } from './output.ts'

const UNIT_S = { m: 60, h: 3_600, d: 86_400 } as const

/** `90m`, `24h` or `7d` in seconds, within limits that are told in the same words. */
export function durationS(written: string, least: string, most: string): number {
  const seconds = secondsOf(written)
  if (seconds !== undefined && seconds >= (secondsOf(least) ?? 0) && seconds <= (secondsOf(most) ?? 0)) return seconds
  throw asUsage(
    `"${written.slice(0, 40)}" is no time from ${least} to ${most}; write a number with m, h or d behind it`,
  )
}

function secondsOf(written: string): number | undefined {
  const [, number, unit] = /^(\d{1,6})([mhd])$/.exec(written) ?? []
  return unit === 'm' || unit === 'h' || unit === 'd' ? Number(number) * UNIT_S[unit] : undefined
}
