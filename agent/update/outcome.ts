import * as z from 'zod/mini'
import { isOnTrial, type Marks, type Moment } from './marks.ts'

/** How the last update ended, kept for whoever asks later. */
export interface Outcome {
  readonly version: string
  readonly before: string
  readonly state: 'kept' | 'rolled-back'
  /** Why it was rolled back. */
  readonly reason: string | null
  /** It was rolled back before it could show anything, so another try needs no word of its owner. */
  readonly untried?: boolean | undefined
  /** Wall clock, ms. */
  readonly at: number
}

const schema = z.object({
  version: z.string(),
  before: z.string(),
  state: z.enum(['kept', 'rolled-back']),
  reason: z.nullable(z.string()),
  untried: z.optional(z.boolean()),
  at: z.number(),
})

export function encodeOutcome(outcome: Outcome): string {
  return `${JSON.stringify(outcome)}\n`
}

export function decodeOutcome(text: string): Outcome | undefined {
  try {
    return schema.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}

/** `at` is an ISO 8601 time; null for what is going on, and where nobody was there to see when it ended. */
export interface UpdateReport {
  readonly version: string
  readonly state: Outcome['state'] | 'trial'
  readonly reason: string | null
  readonly at: string | null
}

/** What there is to say of updates on this machine; null before the first one. */
export function updateReport({ trial }: Marks, outcome: Outcome | undefined, moment: Moment): UpdateReport | null {
  if (trial) {
    const { version } = trial
    if (isOnTrial(trial, moment)) return { version, state: 'trial', reason: null, at: null }
    const reason = trial.bootId === moment.bootId ? 'its trial ran out' : 'the machine was restarted during its trial'
    return { version, state: 'rolled-back', reason, at: null }
  }
  if (!outcome) return null
  const { version, state, reason, at } = outcome
  return { version, state, reason, at: new Date(at).toISOString() }
}

/** A sentence about it; undefined when all is as it was wanted. */
export function updateWords(report: UpdateReport | null): string | undefined {
  if (report === null || report.state === 'kept') return undefined
  const { version, state, reason, at } = report
  if (state === 'trial') return `${version} is on trial`
  return `the update to ${version} was rolled back${at === null ? '' : ` at ${at}`}: ${reason}`
}
