/**
 * Whether TCP or UDX carries a long stream faster, found by trying, as a pure function of samples. TCP costs an eighth
 * of the processor time and is quicker where the line is clean; on long and lossy lines UDX carries twice as much.
 *
 *   calm ──backlog──▶ flowing ──3 s──▶ asking ──the other is there──▶ trying ──3 to 7 s──▶ calm, on the faster one
 */
export type BulkTransport = 'tcp' | 'udx'

export interface BulkSample {
  /** Bytes that the peer has acknowledged, in all. */
  readonly delivered: number
  /** More waits than the path takes. */
  readonly backlog: boolean
  /** What carries it now; undefined for what is neither. */
  readonly transport: BulkTransport | undefined
  readonly rttMs: number
  /** A sound path of the other one is there. */
  readonly otherReady: boolean
  /** What was faster the last time in this network. */
  readonly remembered: BulkTransport | undefined
}

export type BulkState =
  | { readonly name: 'calm'; readonly notBefore: number }
  | { readonly name: 'flowing'; readonly notBefore: number; readonly on: BulkTransport; readonly from: Mark }
  | { readonly name: 'asking'; readonly on: BulkTransport; readonly rate: number; readonly until: number }
  | {
      readonly name: 'trying'
      readonly on: BulkTransport
      readonly rate: number
      readonly since: number
      /** Where counting began, when the new path had found its pace. */
      readonly from: Mark | undefined
    }

interface Mark {
  readonly at: number
  readonly delivered: number
}

export interface BulkStep {
  readonly state: BulkState
  /** Send on this from now on. */
  readonly prefer?: BulkTransport
  /** Make a path of the other one. */
  readonly ask?: true
  /** This was faster. */
  readonly learnt?: BulkTransport
}

export const CALM: BulkState = { name: 'calm', notBefore: Number.NEGATIVE_INFINITY }

/** Between samples; what is shorter than some of them is no long stream. */
export const SAMPLE_MS = 500
const FLOW_MS = 3_000
const REMEMBERED_FLOW_MS = 1_000
const ASK_MS = 5_000
/** What was under way on the other path goes first; then both begin slowly, and lost packets hold that up. */
const WARM_UP_MS = 1_000
const WARM_UP_ROUND_TRIPS = 20
const MAX_WARM_UP_MS = 5_000
const COUNT_MS = 2_000
/** Less is noise, and moving costs what is under way. */
const GAIN = 1.15
const AGAIN_MS = 10 * 60_000
/** On shorter lines, and above this rate, UDX has never won. */
const MIN_RTT_MS = 8
const ENOUGH_BYTES_PER_MS = 50_000

export function bulkStep(state: BulkState, sample: BulkSample, now: number): BulkStep {
  const { transport, delivered, backlog, otherReady } = sample
  if (!backlog || !transport) return endOf(state, now)
  switch (state.name) {
    case 'calm':
      return { state: { name: 'flowing', notBefore: state.notBefore, on: transport, from: { at: now, delivered } } }
    case 'flowing':
      return flowing(state, sample, transport, now)
    case 'asking':
      if (transport !== state.on) return { state: rest(now) }
      if (otherReady) return tryOther(state.on, state.rate, now)
      return { state: now >= state.until ? rest(now) : state }
    case 'trying':
      return trying(state, sample, transport, now)
    default:
      return state satisfies never
  }
}

function flowing(
  state: Extract<BulkState, { name: 'flowing' }>,
  { delivered, rttMs, otherReady, remembered }: BulkSample,
  transport: BulkTransport,
  now: number,
): BulkStep {
  const { on, from, notBefore } = state
  const again: BulkStep = { state: { ...state, on: transport, from: { at: now, delivered } } }
  if (transport !== on) return again
  const knowsBetter = remembered !== undefined && remembered !== on
  if (now - from.at < (knowsBetter ? REMEMBERED_FLOW_MS : FLOW_MS)) return { state }
  const rate = (delivered - from.delivered) / (now - from.at)
  if (now < notBefore || rttMs < MIN_RTT_MS || rate >= ENOUGH_BYTES_PER_MS) return again
  return otherReady ? tryOther(on, rate, now) : { state: { name: 'asking', on, rate, until: now + ASK_MS }, ask: true }
}

function trying(
  state: Extract<BulkState, { name: 'trying' }>,
  { delivered, rttMs }: BulkSample,
  transport: BulkTransport,
  now: number,
): BulkStep {
  const { on, rate, since, from } = state
  const warmUpMs = Math.min(Math.max(WARM_UP_MS, WARM_UP_ROUND_TRIPS * rttMs), MAX_WARM_UP_MS)
  if (transport === on && now > since) return { state: rest(now), prefer: on }
  if (!from) return { state: now - since < warmUpMs ? state : { ...state, from: { at: now, delivered } } }
  if (now - from.at < COUNT_MS) return { state }
  const faster = delivered - from.delivered > rate * GAIN * (now - from.at) ? other(on) : on
  return { state: rest(now), prefer: faster, learnt: faster }
}

function tryOther(on: BulkTransport, rate: number, now: number): BulkStep {
  return { state: { name: 'trying', on, rate, since: now, from: undefined }, prefer: other(on) }
}

/** The stream is over, or something else carries it: a trial that was under way tells nothing. */
function endOf(state: BulkState, now: number): BulkStep {
  switch (state.name) {
    case 'calm':
      return { state }
    case 'flowing':
      return { state: { name: 'calm', notBefore: state.notBefore } }
    case 'asking':
      return { state: CALM }
    case 'trying':
      return { state: rest(now), prefer: state.on }
    default:
      return state satisfies never
  }
}

function rest(now: number): BulkState {
  return { name: 'calm', notBefore: now + AGAIN_MS }
}

function other(transport: BulkTransport): BulkTransport {
  return transport === 'tcp' ? 'udx' : 'tcp'
}
