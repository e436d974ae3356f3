/**
 * When to try a relay again, as a pure function of what happened.
 *
 * The delay is drawn evenly from a window, so that ten thousand agents do not all return in the same instant; the
 * window is the relay's own wish at first, since it knows how many lines it has.
 */
export interface ReconnectState {
  /** Failed attempts since the line was last up. */
  readonly failures: number
  /** Lines in a row that were gone right after their welcome. */
  readonly shortLines: number
  /** The relay's wish from its last welcome or farewell, in ms. */
  readonly windowMs: number
}

const FIRST_WINDOW_MS = 1_000
/** Streams wait two minutes for a relay that restarts, so its agents come back within 5 s; with few lines, within 1.2 s. */
const SHORT_WINDOW_MS = 4_000
const FEW_LINES_MS = 1_000
/** That is 40 s or more; whoever waits after that hurries the line himself. */
const QUICK_TRIES = 60
/** One that stays away costs a battery and a metered line a packet or two a minute. */
const LONG_WINDOW_MS = 60_000
/** A line that held for less was none: whoever drops all that he welcomes is not to be dialled without pause. */
const SHORT_LINE_MS = 5_000

export const initialReconnect: ReconnectState = { failures: 0, shortLines: 0, windowMs: FIRST_WINDOW_MS }

/** Milliseconds to wait; `chance` is drawn from [0, 1). */
export function reconnectDelayMs(state: ReconnectState, chance: number): number {
  if (state.failures === 0) return chance * state.windowMs
  return 200 + chance * Math.min(state.windowMs * 2 ** Math.min(state.failures, 8), longestWindowMs(state))
}

function longestWindowMs({ failures, windowMs }: ReconnectState): number {
  const quickMs = windowMs <= FEW_LINES_MS ? FEW_LINES_MS : Math.max(SHORT_WINDOW_MS, windowMs)
  return Math.min(quickMs * 2 ** Math.min(Math.max(failures - QUICK_TRIES, 0), 8), LONG_WINDOW_MS)
}

/** How soon after an attempt began somebody who waits may have the next one, by the relay's wish. */
export function hurryMs({ windowMs }: ReconnectState): number {
  return Math.max(FEW_LINES_MS, windowMs)
}

/**
 * How long somebody who waits leaves the newest attempt alone, dialling and handshake together, before another begins beside
 * it: it may hang on what is gone. Five round trips are enough; a slow machine gets more time with each.
 */
export function hurriedAttemptMs(rttMs: number | null, underWay: number): number {
  return Math.min(Math.max(2_000, 10 * (rttMs ?? 0)) * 1.5 ** (underWay - 1), 10_000)
}

/**
 * How soon after the last attempt began another line may be made beside one that is late: a relay that welcomes and then
 * answers nothing, or that has too much to do to answer, is not to get line after line.
 */
export function doubtMs({ shortLines }: ReconnectState): number {
  return shortLines === 0 ? 0 : Math.min(FEW_LINES_MS * 2 ** Math.min(shortLines, 8), LONG_WINDOW_MS)
}

/** A line that was found dead because somebody waited for it: he still waits, and few others look at this moment. */
export function hurriedDelayMs(chance: number): number {
  return chance * 100
}

/** How long a line that looks alive has for an answer when somebody waits; measured round trips are of an idle line. */
export function hurriedPongMs(rttMs: number | null): number {
  return Math.min(Math.max(500, 4 * (rttMs ?? 250)), 2_500)
}

export function afterFailure(state: ReconnectState): ReconnectState {
  return { ...state, failures: state.failures + 1 }
}

/** The network changed: the failures before say nothing about it. */
export function afterNetworkChange(state: ReconnectState): ReconnectState {
  return { ...state, failures: Math.min(state.failures, 1), shortLines: 0 }
}

/** Also after a farewell, which brings a wish, too. */
export function afterWelcome(state: ReconnectState, windowMs: number): ReconnectState {
  return { ...state, failures: 0, windowMs: Math.min(Math.max(windowMs, 100), 60_000) }
}

/** The line was lost so long after its welcome. A relay may restart twice in a row; from then on it counts as failing. */
export function afterLoss(state: ReconnectState, heldMs: number): ReconnectState {
  const shortLines = heldMs < SHORT_LINE_MS ? state.shortLines + 1 : 0
  return { ...state, failures: Math.max(shortLines - 1, 0), shortLines }
}
