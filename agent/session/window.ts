/**
 * How much a receiver lets its peer send ahead on one stream, as pure functions.
 *
 * A window of W carries at most W per round trip. So a window that was used up within two round trips is doubled, as
 * long as the agent's budget for all streams together allows it.
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
export const MAX_WINDOW_BYTES = 8 * 1024 * 1024

export function initialWindow(now: number): Window {
  return { sizeBytes: INITIAL_WINDOW_BYTES, grantedBytes: INITIAL_WINDOW_BYTES, markBytes: 0, markAt: now }
}

/** The bytes to grant now that `consumedBytes` have left for the reader; small grants are saved up. */
export function creditDue(window: Window, consumedBytes: number): number {
  const due = consumedBytes + window.sizeBytes - window.grantedBytes
  return due >= window.sizeBytes / 4 ? due : 0
}

/** Bytes by which the window would like to grow: its own size when it was used up within two round trips. */
export function growthWanted(window: Window, consumedBytes: number, rttMs: number, now: number): number {
  if (consumedBytes - window.markBytes < window.sizeBytes || window.sizeBytes >= MAX_WINDOW_BYTES) return 0
  // 10 ms more: on a LAN the round trip is far shorter than what a busy event loop needs for one turn.
  return now - window.markAt <= 2 * rttMs + 10 ? Math.min(window.sizeBytes, MAX_WINDOW_BYTES - window.sizeBytes) : 0
}

export function grown(window: Window, bytes: number): Window {
  return { ...window, sizeBytes: window.sizeBytes + bytes }
}

export function marked(window: Window, consumedBytes: number, now: number): Window {
  return consumedBytes - window.markBytes < window.sizeBytes
    ? window
    : { ...window, markBytes: consumedBytes, markAt: now }
}

export function granted(window: Window, bytes: number): Window {
  return { ...window, grantedBytes: window.grantedBytes + bytes }
}

/** The memory that all streams of one agent may promise together, beyond their first window. */
export class WindowBudget {
  readonly #limitBytes: number
  #takenBytes = 0

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  get takenBytes(): number {
    return this.#takenBytes
  }

  /** Takes up to `bytes`; gives what it got, perhaps 0. */
  take(bytes: number): number {
    const got = Math.max(0, Math.min(bytes, this.#limitBytes - this.#takenBytes))
    this.#takenBytes += got
    return got
  }

  give(bytes: number): void {
    this.#takenBytes -= bytes
  }
}
