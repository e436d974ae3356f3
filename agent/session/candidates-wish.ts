import type { CandidatesWish } from './session-events.ts'

/** Flags of a candidates frame. */
export const WISHES: Readonly<Record<CandidatesWish, number>> = { 'try-now': 1, 'udx-beside': 2 }

export function wishOf(flags: number): CandidatesWish | undefined {
  if (flags & WISHES['try-now']) return 'try-now'
  return flags & WISHES['udx-beside'] ? 'udx-beside' : undefined
}
