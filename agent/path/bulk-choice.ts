import { heldBack } from './held-back.ts'

/**
 * Whether TCP or UDX carries a long stream faster, as a pure function of samples. TCP costs an eighth of the processor
 * time and is quicker where the line is clean; on long and lossy lines UDX carries up to twice as much. What was found
 * out belongs to this stream and to these two paths: who calls begins anew when either is another one.
 *
 *   calm ──backlog──▶ flowing ──worth a trial──▶ (asking) ──▶ moving ──▶ trying ──▶ flowing, or moving back
 *                        └──known to be better──▶ (asking) ──▶ moving ──▶ flowing
 */
export type BulkTransport = 'tcp' | 'udx'

export interface BulkSample {
  /** Bytes that have arrived, in all; where the path in use counts by itself, over this path. */
  readonly delivered: number
  /** Much is under way. */
  readonly backlog: boolean
  /** The path does not take what waits behind that. */
  readonly full: boolean
  /** What carries it now; undefined for what is neither. */
  readonly transport: BulkTransport | undefined
  /** Of the line, without a queue. */
  readonly rttMs: number
  /** Behind what we send now. */
  readonly loadedRttMs: number
  /** A sound path of the other one is there. */
  readonly otherReady: boolean
  /** What was faster the last time in this network. */
  readonly remembered: BulkTransport | undefined
  /** See `heldBack`. */
  readonly resent: number | undefined
  readonly bufferBytes: number | undefined
}

interface Mark {
  readonly at: number
  readonly delivered: number
  readonly full: boolean
}

/** What the other one carried when both were compared, and how late answers came then over this one. */
interface Rival {
  readonly rate: number
  readonly loadedRttMs: number
  readonly at: number
}

/** Until when nothing is done: no trial, and no move to what is remembered to be faster. */
interface Rest {
  readonly trial: number
  readonly move: number
  /** Promising trials in a row that came to nothing. */
  readonly lost: number
}

interface Calm {
  readonly name: 'calm'
  readonly since: number
  readonly rest: Rest
}

interface Flowing {
  readonly name: 'flowing'
  readonly on: BulkTransport
  readonly since: number
  readonly rest: Rest
  readonly rival: Rival | undefined
  readonly marks: readonly Mark[]
  /** Since when there is no backlog. */
  readonly quietSince: number | undefined
}

/** What is to be beaten. */
interface Trial {
  readonly on: BulkTransport
  readonly rate: number
  readonly loadedRttMs: number
  /** Something speaks for the other one. */
  readonly promising: boolean
  /** As in `Rest`. */
  readonly lost: number
}

export type BulkState =
  | Calm
  | Flowing
  | { readonly name: 'asking'; readonly flow: Flowing; readonly trial: Trial | undefined; readonly until: number }
  | {
      readonly name: 'moving'
      readonly to: BulkTransport
      readonly trial: Trial | undefined
      /** What is known when it is there. */
      readonly rival: Rival | undefined
      readonly rest: Rest
      readonly until: number
    }
  | {
      readonly name: 'trying'
      readonly trial: Trial
      readonly since: number
      readonly marks: readonly Mark[]
      readonly quietSince: number | undefined
    }

export interface BulkStep {
  readonly state: BulkState
  /** Send on this from now on. */
  readonly prefer?: BulkTransport
  /** Make a path of the other one. */
  readonly ask?: true
  /** This was faster. */
  readonly learnt?: BulkTransport
  /** Nothing long has flowed for a while: nothing is to be watched until the next backlog. */
  readonly over?: true
}

const NONE: Rest = { trial: Number.NEGATIVE_INFINITY, move: Number.NEGATIVE_INFINITY, lost: 0 }

export const CALM: BulkState = { name: 'calm', since: Number.NEGATIVE_INFINITY, rest: NONE }

/** Between samples. */
export const SAMPLE_MS = 250
/** A stream that waits for its program now and then is the same stream. */
const QUIET_MS = 1_000
const OVER_MS = 10_000
/**
 * What was preferred stays so for the next stream, which so begins at once as fast as the last one went, and is let go
 * after that: it keeps two paths from resting.
 */
export const PREFERRED_MS = 5 * 60_000
const ASK_MS = 5_000
/** What was under way on the other path goes first. */
const MOVE_MS = 10_000
/** Rates are taken over this long; marks are kept a little longer. */
const RATE_MS = 1_000
const KEEP_MARKS_MS = 3_000
/** A path that grows by more than this is still finding its pace. */
const STEADY = 1.2
/** What UDX has to be faster by, to be worth eight times the processor time; TCP need only be about as fast. */
const GAIN: Readonly<Record<BulkTransport, number>> = { udx: 1.15, tcp: 0.95 }
/** A trial that has found its pace, and it is this slow, is over. */
const HOPELESS = 0.6
/** What was slower by less than this may be faster in a minute, so nothing is learnt of it. */
const CLEARLY = 0.85
/** The path that won has become this slow against the other one as it was then, or answers so late. */
const COLLAPSED = 0.7
const LATE_FACTOR = 4
const LATE_MS = 100
const AGAIN_MS = 10 * 60_000
/** One may have come at a bad moment: a machine that is busy with something else makes UDX look slow. */
const LOST_ENOUGH = 2
const SOON_MS = 60_000
/** A path that somebody had doubts about is sound that long before a long stream goes back to it. */
const DOUBT_MS = 20_000
const COLLAPSE_MS = 30_000
/** On shorter lines, and above this rate, UDX has never won. */
const MIN_RTT_MS = 8
const ENOUGH_BYTES_PER_MS = 50_000
/** On longer lines UDX needs many seconds to find its pace: too much for what only seems to be worth it. */
const MAX_SOON_RTT_MS = 300
/** A trial that nothing speaks for waits until it costs no more than a 33rd of what has flowed. */
const PATIENCE = 33
/** One that only memory speaks against; no trial follows it soon. */
const DOUBT_PATIENCE = 8

export function bulkStep(state: BulkState, sample: BulkSample, now: number): BulkStep {
  const { transport } = sample
  if (!transport || state.name === 'calm') return waiting(calm(now, state), sample, now)
  switch (state.name) {
    case 'flowing':
      return flowing(state, sample, transport, now)
    case 'asking':
      return asking(state, sample, now)
    case 'moving':
      return moving(state, sample, transport, now)
    case 'trying':
      return trying(state, sample, transport, now)
    default:
      return state satisfies never
  }
}

function waiting(state: Calm, sample: BulkSample, now: number): BulkStep {
  const { transport, backlog } = sample
  if (backlog && transport) return flowing(flowOn(transport, sample, now, state.rest), sample, transport, now)
  if (backlog) return { state }
  return now - state.since >= OVER_MS ? { state, over: true } : { state }
}

function flowing(before: Flowing, sample: BulkSample, transport: BulkTransport, now: number): BulkStep {
  // Somebody had doubts about the path that carried it.
  if (transport !== before.on) return { state: flowOn(transport, sample, now, restSoon(now)) }
  if (!sample.backlog) {
    const { quietSince = now } = before
    return { state: now - quietSince >= QUIET_MS ? calm(now, before) : { ...before, marks: [], quietSince } }
  }
  const state: Flowing = { ...before, marks: marked(before.marks, sample, now), quietSince: undefined }
  const { otherReady, remembered } = sample
  const adopt = remembered === otherOf(transport) && now >= state.rest.move
  const trial = adopt ? undefined : trialWorth(state, sample, now)
  if (!adopt && !trial) return { state }
  if (otherReady) return move(state, trial, now)
  // A path over TCP is sought all the time anyway.
  if (transport === 'udx') return { state }
  return { state: { name: 'asking', flow: state, trial, until: now + ASK_MS }, ask: true }
}

function asking(state: Extract<BulkState, { name: 'asking' }>, sample: BulkSample, now: number): BulkStep {
  const { trial, until } = state
  if (!sample.backlog) return { state: calm(now, state.flow) }
  const flow: Flowing = { ...state.flow, marks: marked(state.flow.marks, sample, now) }
  if (!sample.otherReady) return { state: now < until ? { ...state, flow } : { ...flow, rest: restSoon(now) } }
  return move(flow, trial && { ...trial, rate: rateOver(flow.marks, RATE_MS) ?? trial.rate }, now)
}

function trialWorth(state: Flowing, sample: BulkSample, now: number): Trial | undefined {
  const { on, since, rest, rival, marks } = state
  const { rttMs, loadedRttMs, remembered, resent, bufferBytes } = sample
  const rate = rateOver(marks, RATE_MS)
  if (rate === undefined || rttMs < MIN_RTT_MS || rate >= ENOUGH_BYTES_PER_MS) return undefined
  // Else it is the program that is slow, or its reader.
  if (marks.filter(({ full }) => full).length * 2 < marks.length) return undefined
  const held = heldBack({ rate, rttMs, resent, bufferBytes })
  const trial: Trial = { on, rate, loadedRttMs, promising: on === 'tcp' && held === 'held-back', lost: rest.lost }
  if (rival && now - rival.at >= COLLAPSE_MS) {
    const late = loadedRttMs > LATE_FACTOR * rival.loadedRttMs + LATE_MS
    if (late || rate < COLLAPSED * rival.rate) return trial
  }
  if (now < rest.trial || (rateOver(marks, RATE_MS / 2) ?? 0) > STEADY * rate) return undefined
  const costMs = trialCostMs(rttMs)
  const patient = now - since >= PATIENCE * costMs && (on === 'udx' || held !== 'clean')
  const soonMs = (remembered === undefined ? 1 : DOUBT_PATIENCE) * costMs
  const soon = trial.promising && rttMs <= MAX_SOON_RTT_MS && now - since >= soonMs
  return patient || soon ? trial : undefined
}

function moving(
  state: Extract<BulkState, { name: 'moving' }>,
  sample: BulkSample,
  transport: BulkTransport,
  now: number,
): BulkStep {
  const { to, trial, rival, rest, until } = state
  if (transport === to) {
    const marks = marked([], sample, now)
    if (trial) return { state: { name: 'trying', trial, since: now, marks, quietSince: undefined } }
    return { state: { ...flowOn(to, sample, now, rest), rival } }
  }
  if (now < until) return { state }
  return { state: flowOn(transport, sample, now, restSoon(now)), prefer: transport }
}

function trying(
  state: Extract<BulkState, { name: 'trying' }>,
  sample: BulkSample,
  transport: BulkTransport,
  now: number,
): BulkStep {
  const { trial, since } = state
  const to = otherOf(trial.on)
  if (transport !== to) return { state: flowOn(transport, sample, now, restSoon(now)), prefer: transport }
  if (!sample.backlog) {
    const { quietSince = now } = state
    if (now - quietSince < QUIET_MS) return { state: { ...state, quietSince } }
    // The stream is over: a trial that was under way tells nothing.
    return { state: calm(now, { rest: restSoon(now) }), prefer: trial.on }
  }
  const marks = marked(state.marks, sample, now)
  const rate = rateOver(marks, RATE_MS)
  const verdict = judge(trial, to, marks, now - since, sample.rttMs)
  if (verdict === 'go-on' || rate === undefined) return { state: { ...state, marks, quietSince: undefined } }
  const lost = verdict === 'won' ? 0 : trial.lost + 1
  const clear = verdict === 'won' || !trial.promising || (lost >= LOST_ENOUGH && rate < CLEARLY * trial.rate)
  const rest: Rest = { ...NONE, trial: now + (clear ? AGAIN_MS : SOON_MS), lost }
  if (verdict === 'won') {
    const rival = { rate: trial.rate, loadedRttMs: sample.loadedRttMs, at: now }
    return { state: { ...flowOn(to, sample, now, rest), rival }, prefer: to, learnt: to }
  }
  const rival = { rate, loadedRttMs: trial.loadedRttMs, at: now }
  const back: BulkState = { name: 'moving', to: trial.on, trial: undefined, rival, rest, until: now + MOVE_MS }
  return { state: back, prefer: trial.on, ...(clear ? { learnt: trial.on } : {}) }
}

/** As soon as it is clear; a path begins slowly, and lost packets hold that up. */
function judge(
  trial: Trial,
  to: BulkTransport,
  marks: readonly Mark[],
  triedMs: number,
  rttMs: number,
): 'go-on' | 'won' | 'lost' {
  const rate = rateOver(marks, RATE_MS)
  if (rate === undefined) return 'go-on'
  if (rate >= GAIN[to] * trial.rate) return 'won'
  const warmUpMs = Math.min(Math.max(1.5 * RATE_MS, 15 * rttMs), 6_000)
  if (triedMs < warmUpMs) return 'go-on'
  const growing = (rateOver(marks, RATE_MS / 2) ?? rate) > STEADY * rate
  if (rate < HOPELESS * trial.rate && !growing) return 'lost'
  return triedMs < warmUpMs + RATE_MS ? 'go-on' : 'lost'
}

function move(flow: Flowing, trial: Trial | undefined, now: number): BulkStep {
  const to = otherOf(flow.on)
  const { rest } = flow
  return { state: { name: 'moving', to, trial, rival: undefined, rest, until: now + MOVE_MS }, prefer: to }
}

function flowOn(on: BulkTransport, sample: BulkSample, now: number, rest: Rest): Flowing {
  return {
    name: 'flowing',
    on,
    since: now,
    rest,
    rival: undefined,
    marks: marked([], sample, now),
    quietSince: undefined,
  }
}

function calm(now: number, before: BulkState | { readonly rest: Rest }): Calm {
  if ('name' in before && before.name === 'calm') return before
  return { name: 'calm', since: now, rest: 'rest' in before ? before.rest : NONE }
}

function restSoon(now: number): Rest {
  return { trial: now + SOON_MS, move: now + DOUBT_MS, lost: 0 }
}

/** What a trial keeps from flowing, in ms of it: the way over and back, and slow starts. */
function trialCostMs(rttMs: number): number {
  return 500 + 8 * rttMs
}

function marked(marks: readonly Mark[], { delivered, full }: BulkSample, now: number): readonly Mark[] {
  return [...marks.filter(({ at }) => now - at <= KEEP_MARKS_MS), { at: now, delivered, full }]
}

/** Bytes per ms over the last so many ms, or a little more; undefined when it was not watched for so long. */
function rateOver(marks: readonly Mark[], ms: number): number | undefined {
  const last = marks.at(-1)
  const first = marks.findLast(({ at }) => last !== undefined && last.at - at >= ms)
  return first && last && (last.delivered - first.delivered) / (last.at - first.at)
}

function otherOf(transport: BulkTransport): BulkTransport {
  return transport === 'tcp' ? 'udx' : 'tcp'
}
