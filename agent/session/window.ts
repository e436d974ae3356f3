/**
 * How much a receiver lets its peer send ahead on one stream, as pure functions.
 *
 * A window of W carries at most W per round trip. So it shall hold what flows in four of them, as long as the agent's
 * budget for all streams together allows it: where packets get lost, bytes come a round trip late, and credit with them.
 * Round trips of the idle line: those under load grow with the window, which would grow with them.
 */
export interface Window {
  /** Bytes the peer may have under way to the reader of this stream. */
  readonly sizeBytes: number
  /** Bytes granted since the stream began. */
  readonly grantedBytes: number
  /** Bytes granted, and when, at the last growth decision. */
  readonly markBytes: number
  readonly markAt: number
}

/** Every stream starts with this on both sides without a word, so that a request needs no round trip for credit. */
export const INITIAL_WINDOW_BYTES = 64 * 1024
/** What a stream gets as soon as it is accepted. */
export const BASE_WINDOW_BYTES = 256 * 1024
export const MAX_WINDOW_BYTES = 16 * 1024 * 1024
/** Enough for 400 Mbit/s on lines of up to 40 ms; on longer ones it takes more, and costs more memory. */
const COMMON_WINDOW_BYTES = 8 * 1024 * 1024
const MAX_WINDOW_BYTES_PER_MS = 200 * 1024
/** Grants are saved up to this, or a quarter of a small window: the sender counts on the rest of the window only. */
const MAX_SAVED_BYTES = 1024 * 1024
/** A window that held its stream up tells no more of the line than that it takes a multiple. */
const MAX_GROWTH = 4
/** On a long line what has come so far tells of the sender's slow start more than of the line: taken for 50 Mbit/s. */
const LONG_LINE_BYTES_PER_MS = 6_250
const LONG_LINE_BYTES = 2 * 1024 * 1024
const SWIFT_ROUND_TRIPS = 16

export function initialWindow(now: number): Window {
  return { sizeBytes: INITIAL_WINDOW_BYTES, grantedBytes: INITIAL_WINDOW_BYTES, markBytes: 0, markAt: now }
}

/** The bytes to grant now that `consumedBytes` have left for the reader; small grants are saved up. */
export function creditDue(window: Window, consumedBytes: number): number {
  const due = consumedBytes + window.sizeBytes - window.grantedBytes
  return due >= Math.min(window.sizeBytes / 4, MAX_SAVED_BYTES) ? due : 0
}

/**
 * What the window should be, as it shows once half of it was used up: what flows in four round trips. A sender without
 * credit has to learn of it before the whole window has come: that is another round trip. 0: it does not show yet.
 */
export function neededWindow(window: Window, consumedBytes: number, rttMs: number, now: number): number {
  const { sizeBytes, markBytes, markAt } = window
  const flowed = consumedBytes - markBytes
  if (flowed < sizeBytes / 2) return 0
  const tookMs = now - markAt
  // 10 ms more: on a LAN the round trip is far shorter than what a busy event loop needs for one turn.
  const measured = Math.round((flowed * (4 * rttMs + 10)) / Math.max(1, tookMs))
  const least = tookMs < SWIFT_ROUND_TRIPS * rttMs ? Math.min(LONG_LINE_BYTES_PER_MS * rttMs, LONG_LINE_BYTES) : 0
  const most = Math.max(COMMON_WINDOW_BYTES, Math.min(MAX_WINDOW_BYTES_PER_MS * rttMs, MAX_WINDOW_BYTES))
  return Math.min(Math.max(measured, least), most)
}

/** Bytes by which it grows towards that, in steps. */
export function growthWanted({ sizeBytes }: Window, neededBytes: number): number {
  return Math.max(0, Math.min(neededBytes, MAX_GROWTH * sizeBytes) - sizeBytes)
}

export function grown(window: Window, bytes: number): Window {
  return { ...window, sizeBytes: window.sizeBytes + bytes }
}

export function marked(window: Window, consumedBytes: number, now: number): Window {
  return consumedBytes - window.markBytes < window.sizeBytes / 2
    ? window
    : { ...window, markBytes: consumedBytes, markAt: now }
}

export function granted(window: Window, bytes: number): Window {
  return { ...window, grantedBytes: window.grantedBytes + bytes }
}

/** What a move to another path may have to send again. */
const MAX_UNACKNOWLEDGED_BYTES = 16 * 1024 * 1024

/** The memory that all streams of one agent may promise together, beyond their first window. */
export class WindowBudget {
  /** Unacknowledged bytes after which a session sends nothing new. */
  readonly unacknowledgedBytes: number
  readonly #limitBytes: number
  #takenBytes = 0

  constructor(limitBytes: number, unacknowledgedBytes = MAX_UNACKNOWLEDGED_BYTES) {
    this.#limitBytes = limitBytes
    this.unacknowledgedBytes = unacknowledgedBytes
  }

  get takenBytes(): number {
    return this.#takenBytes
  }

  get freeBytes(): number {
    return this.#limitBytes - this.#takenBytes
  }

  /** Takes up to `bytes`; gives what it got, perhaps 0. */
  take(bytes: number): number {
    const got = Math.max(0, Math.min(bytes, this.freeBytes))
    this.#takenBytes += got
    return got
  }

  /** As `take`, but leaves half of all to those who have shown what they need. */
  takeSpare(bytes: number): number {
    return this.take(Math.min(bytes, this.#limitBytes / 2 - this.#takenBytes))
  }

  give(bytes: number): void {
    this.#takenBytes -= bytes
  }

  /** What one session takes of it. */
  share(): WindowShare {
    return new WindowShare(this)
  }
}

/**
 * One peer must not take what all others need: a session never holds more than it leaves free. So the first may have half
 * of all, two of them a third each, and there is always something left for the next (Choudhury and Hahne, 1998).
 */
export class WindowShare {
  readonly #budget: WindowBudget
  #heldBytes = 0

  constructor(budget: WindowBudget) {
    this.#budget = budget
  }

  /** Takes up to `bytes`; gives what it got, perhaps 0. */
  take(bytes: number): number {
    return this.#held(this.#budget.take(Math.min(bytes, this.#allowedBytes)))
  }

  /** As `WindowBudget.takeSpare`. */
  takeSpare(bytes: number): number {
    return this.#held(this.#budget.takeSpare(Math.min(bytes, this.#allowedBytes)))
  }

  give(bytes: number): void {
    this.#heldBytes -= bytes
    this.#budget.give(bytes)
  }

  /** After it, as much is free as this session holds. */
  get #allowedBytes(): number {
    return Math.floor((this.#budget.freeBytes - this.#heldBytes) / 2)
  }

  #held(bytes: number): number {
    this.#heldBytes += bytes
    return bytes
  }
}
