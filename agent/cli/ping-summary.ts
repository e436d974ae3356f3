import type { PingReply } from '../control/control-target.ts'
import { type RoundTrips, roundTrips } from '../service/round-trips.ts'

/** What came of one ping; `seq` counts from 1. */
export type PingResult =
  | { readonly seq: number; readonly rttMs: number; readonly path: PingReply['path'] }
  | { readonly seq: number; readonly lost: string }

/** What `ping --json` prints. Times in ms, with a precision of 0.01. */
export interface PingSummary {
  readonly peer: string
  readonly count: number
  readonly received: number
  readonly lossPct: number
  /** Null without an answer. */
  readonly rttMs: RoundTrips | null
  /** The path of the last reply; null without one. */
  readonly path: PingReply['path'] | null
  /** How often an answer took another path than the one before. */
  readonly pathChanges: number
  readonly replies: readonly PingResult[]
}

/** Sums up results, at least one. */
export function pingSummary(peer: string, replies: readonly PingResult[]): PingSummary {
  const answers = replies.filter(reply => 'rttMs' in reply)
  const rttMs = roundTrips(answers.map(answer => answer.rttMs))
  const path = answers.at(-1)?.path ?? null
  const pathChanges = answers.filter((answer, i) => i > 0 && !samePath(answer.path, answers[i - 1]?.path)).length
  const lossPct = Math.round((1 - answers.length / replies.length) * 1000) / 10
  return { peer, count: replies.length, received: answers.length, lossPct, rttMs, path, pathChanges, replies }
}

/** Alike in all that its owner would call a path; a new local port on the same way is none. */
export function samePath(a: PingReply['path'], b: PingReply['path'] | undefined): boolean {
  return b !== undefined && a.transport === b.transport && a.how === b.how && a.remote === b.remote
}
