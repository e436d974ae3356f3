import { type Endpoint, sameEndpoint } from '../../common/wire/endpoint.ts'

/**
 * Whether an outside endpoint of ours was seen to work from outside, as a pure function of what was found and when.
 *
 *   idle ──endpoint──▶ checking ──reached, not reached twice, nobody can tell──▶ told ──time, network──▶ checking
 *                        ▲ └─ not reached once ─▶ doubted ─┐
 *                        └───────── soon ──────────────────┘
 */
export type ReachState =
  | { readonly name: 'idle' }
  | (Checked & { readonly name: 'checking' })
  | (Checked & { readonly name: 'doubted'; readonly againAt: number })
  | (Checked & { readonly name: 'told'; readonly verdict: Verdict; readonly againAt: number })

interface Checked {
  readonly endpoint: Endpoint
  /** What was found before; undefined for an endpoint that was never looked at. */
  readonly verdict: Verdict | undefined
  readonly failures: number
}

/** `unknown`: nobody can look, as without a relay that does; the router's word has to do. */
export type Verdict = 'reached' | 'unreached' | 'unknown'

export type ReachEvent =
  | { readonly name: 'endpoint'; readonly endpoint: Endpoint | undefined }
  | { readonly name: 'outcome'; readonly endpoint: Endpoint; readonly outcome: Verdict }
  | { readonly name: 'tick' }
  /** Somebody who may be able to look came. */
  | { readonly name: 'relay' }
  /** The machine is elsewhere, or the router was. */
  | { readonly name: 'network' }

export interface ReachStep {
  readonly state: ReachState
  /** Look at this endpoint now. */
  readonly look?: Endpoint
}

/** Ours: one lost packet says nothing. */
const AGAIN_MS = 2_000
/** Ours: what works goes on working; a router that was reset tells so in other ways. */
const REACHED_AGAIN_MS = 3_600_000
const UNREACHED_AGAIN_MS = 60_000
const MAX_UNREACHED_AGAIN_MS = 1_800_000
/** Ours: a relay that is busy, or one that comes up by another way than a line. */
const UNKNOWN_AGAIN_MS = 300_000

export function advanceReach(state: ReachState, event: ReachEvent, now: number): ReachStep {
  switch (event.name) {
    case 'endpoint':
      return onEndpoint(state, event.endpoint)
    case 'outcome':
      return onOutcome(state, event, now)
    case 'tick':
      return 'againAt' in state && state.againAt <= now ? look(state) : { state }
    case 'relay':
      return state.name === 'told' && state.verdict === 'unknown' ? look(state) : { state }
    case 'network':
      return 'againAt' in state ? look({ ...state, failures: 0 }) : { state }
    default:
      return event satisfies never
  }
}

/** When the next `tick` has something to do. */
export function nextReachAt(state: ReachState): number {
  return 'againAt' in state ? state.againAt : Number.POSITIVE_INFINITY
}

/** What is known of this endpoint; undefined while it is looked at for the first time. */
export function verdictOn(state: ReachState, endpoint: Endpoint): Verdict | undefined {
  return state.name !== 'idle' && sameEndpoint(state.endpoint, endpoint) ? state.verdict : undefined
}

function onEndpoint(state: ReachState, endpoint: Endpoint | undefined): ReachStep {
  if (endpoint === undefined) return { state: state.name === 'idle' ? state : { name: 'idle' } }
  if (state.name !== 'idle' && sameEndpoint(state.endpoint, endpoint)) return { state }
  return look({ endpoint, verdict: undefined, failures: 0 })
}

function onOutcome(state: ReachState, event: Extract<ReachEvent, { name: 'outcome' }>, now: number): ReachStep {
  // A look at an endpoint that is no longer ours.
  if (state.name !== 'checking' || !sameEndpoint(state.endpoint, event.endpoint)) return { state }
  const { endpoint, verdict } = state
  switch (event.outcome) {
    case 'reached':
      return told(endpoint, 'reached', 0, now + REACHED_AGAIN_MS)
    case 'unknown':
      return told(endpoint, verdict ?? 'unknown', state.failures, now + UNKNOWN_AGAIN_MS)
    case 'unreached': {
      const failures = state.failures + 1
      if (failures < 2) return { state: { name: 'doubted', endpoint, verdict, failures, againAt: now + AGAIN_MS } }
      const delay = Math.min(MAX_UNREACHED_AGAIN_MS, UNREACHED_AGAIN_MS * 2 ** (failures - 2))
      return told(endpoint, 'unreached', failures, now + delay)
    }
    default:
      return event.outcome satisfies never
  }
}

function told(endpoint: Endpoint, verdict: Verdict, failures: number, againAt: number): ReachStep {
  return { state: { name: 'told', endpoint, verdict, failures, againAt } }
}

function look({ endpoint, verdict, failures }: Checked): ReachStep {
  return { state: { name: 'checking', endpoint, verdict, failures }, look: endpoint }
}
