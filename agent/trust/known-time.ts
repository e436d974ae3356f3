/** 2023: a clock that says less was never set. That of a board without a battery begins in 1970, or where it stood last. */
export const FIRST_SENSIBLE_S = 1_672_531_200

/** What time it is, as far as this machine can know; s since 1970. `sure`: its clock was set. Else it is at least this late. */
export interface KnownTime {
  readonly s: number
  readonly sure: boolean
}

/**
 * A clock that was set is believed. One that was not still shows that an entry is over when something later was signed by
 * the root, or told by a relay: nothing is refused for a time that this machine cannot know.
 */
export function knownTime(wallMs: number, atLeastS: number): KnownTime {
  const wall = Math.floor(wallMs / 1000)
  return wall >= FIRST_SENSIBLE_S ? { s: wall, sure: true } : { s: Math.max(wall, atLeastS), sure: false }
}

/** Whether what holds until then (0: for ever) is over. */
export function isOver(notAfter: number, now: KnownTime): boolean {
  return notAfter > 0 && now.s > notAfter
}
