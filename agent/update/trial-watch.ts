import type { TrialTerms } from './marks.ts'

/**
 * Whether a version on trial is kept, as a pure function of what was seen of it and when.
 *
 *   waiting ──all that it has to reach──▶ proving ──so for a while──▶ kept
 *      ▲                                     │
 *      └──────────── lost again ─────────────┘      out of time, or mute ──▶ rolled-back
 */
export type TrialState =
  | { readonly name: 'waiting'; readonly missing: Missing; readonly muteSince: number | undefined }
  | { readonly name: 'proving'; readonly since: number; readonly upSince: number }
  | { readonly name: 'kept' }
  | { readonly name: 'rolled-back'; readonly reason: string }

type Missing = 'answer' | 'version' | 'relay' | 'peer'

/** What one look found. `mute`: nobody answered on the control socket. */
export type Look =
  | 'mute'
  | {
      readonly version: string
      /** When it started, on the clock of `now`; a second more or less does not matter. */
      readonly upSince: number
      readonly relay: boolean
      readonly peer: boolean
    }

export interface TrialRules {
  readonly version: string
  readonly until: number
  readonly terms: Pick<TrialTerms, 'seconds' | 'relay' | 'peers'>
}

export function beginWatch(now: number): TrialState {
  return { name: 'waiting', missing: 'answer', muteSince: now }
}

/** How long all has to be well without a break: a version that crashes once it carries something shall not be kept. */
export function provingMs(seconds: number): number {
  return (seconds * 1000) / 18
}

/** Who says nothing for so long does not start. */
export function muteMs(seconds: number): number {
  return (seconds * 1000) / 3
}

export function watched(state: TrialState, look: Look, now: number, rules: TrialRules): TrialState {
  if (state.name === 'kept' || state.name === 'rolled-back') return state
  const { until, terms } = rules
  const missing = missingIn(look, rules)
  if (missing === undefined && look !== 'mute') {
    const since = state.name === 'proving' && isSameStart(state.upSince, look.upSince) ? state.since : now
    // A keeper that was held up must not keep what the launcher no longer starts.
    if (now < until && now - since >= provingMs(terms.seconds)) return { name: 'kept' }
    if (now < until) return { name: 'proving', since, upSince: look.upSince }
  }
  const waiting = waitingFor(state, look, missing ?? 'answer', now)
  const isMute = waiting.muteSince !== undefined && now - waiting.muteSince >= muteMs(terms.seconds)
  return now >= until || isMute ? { name: 'rolled-back', reason: reasonOf(waiting, isMute, rules) } : waiting
}

function waitingFor(state: TrialState, look: Look, missing: Missing, now: number) {
  const before = state.name === 'waiting' ? state.muteSince : undefined
  // Another version that answers is as good as none.
  const isMute = look === 'mute' || missing === 'version'
  return { name: 'waiting', missing, muteSince: isMute ? (before ?? now) : undefined } as const
}

function missingIn(look: Look, { version, terms }: TrialRules): Missing | undefined {
  if (look === 'mute') return 'answer'
  if (look.version !== version) return 'version'
  if (terms.relay && !look.relay) return 'relay'
  return terms.peers.length > 0 && !look.peer ? 'peer' : undefined
}

/** A restart takes longer. */
const SAME_START_MS = 1_500

function isSameStart(a: number, b: number): boolean {
  return Math.abs(a - b) < SAME_START_MS
}

function reasonOf(state: TrialState & { name: 'waiting' }, isMute: boolean, { version, terms }: TrialRules): string {
  const during = `in ${terms.seconds} s`
  switch (state.missing) {
    case 'answer':
      return isMute ? `${version} did not start, or hangs` : `${version} did not stay up`
    case 'version':
      return `another version goes on in place of ${version}: the agent is not started by the launcher, or was not restarted`
    case 'relay':
      return `${version} reached no relay ${during}`
    case 'peer':
      return `${version} reached no peer ${during} (before it: ${terms.peers.slice(0, 5).join(', ')})`
    default:
      return state.missing satisfies never
  }
}
