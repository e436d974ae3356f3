import type { Clock, Timer } from '../../common/platform/clock.ts'
import { PREFERRED_MS } from '../path/bulk-choice.ts'
import { superfluousPaths } from '../path/path-choice.ts'
import type { PathLink } from './path-link.ts'
import type { Session } from './session.ts'

/** How long a better path must have been sound before the others are closed. */
const SETTLE_MS = 5_000
/** A path that the peer, or a trial of ours, sent user bytes on so lately is still wanted. */
const UNUSED_MS = 8_000
/** One over UDX that carried so much was the faster one for a long stream, and the next one may come soon. */
const LONG_STREAM_BYTES = 8 * 1024 * 1024
const LONG_UNUSED_MS = PREFERRED_MS

/** Closes what a better path makes superfluous, as soon as nobody has used it for a while. */
export class PathPruner {
  readonly #clock: Clock
  #timer: Timer | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** To be called when the paths of the session changed. */
  onPaths(session: Session): void {
    if (this.#timer || session.links.length < 2) return
    this.#timer = this.#clock.after(SETTLE_MS, () => {
      this.#timer = undefined
      if (!session.active) return
      session.drop(superfluousPaths(session.links, session.active).filter(isUnused))
      if (!session.preferred) this.onPaths(session)
    })
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }
}

function isUnused(link: PathLink): boolean {
  const long = link.transport === 'udx' && link.bytesIn + link.bytesOut >= LONG_STREAM_BYTES
  return link.unusedMs >= (long ? LONG_UNUSED_MS : UNUSED_MS)
}
