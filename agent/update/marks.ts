import * as z from 'zod/mini'
import { isVersion } from './version-order.ts'

/**
 * What decides which version runs, as it stands on disk, below the updater's directory:
 *
 *   current     a symbolic link to `versions/VERSION`; without it, what the package brought (`BASE`) runs
 *   trial       the version that is on trial, until when, and in which boot; absent without a trial
 *
 * Only keeping a version takes a write. A trial that nobody ends is over by itself: at its time, and at each boot.
 */
export const BASE = 'base'

export interface Trial {
  readonly version: string
  /** What `BOOT_MARK` said when it began. */
  readonly bootId: string
  /** /proc/uptime, whole seconds: the trial is over then. */
  readonly untilS: number
  readonly terms: TrialTerms
}

/** What whoever watches over a trial has to know, so that another one may go on. */
export interface TrialTerms {
  /** What ran before. */
  readonly before: string
  /** How long it was to take. */
  readonly seconds: number
  /** Whether a relay has to be reached. */
  readonly relay: boolean
  /** Peers that were connected, of which one has to be. */
  readonly peers: readonly string[]
  readonly socket: string
  /** What a shell is to run to restart the agent; null for systemd's unit. */
  readonly restart: string | null
}

export interface Marks {
  readonly current: string | undefined
  readonly trial: Trial | undefined
}

export interface Moment {
  readonly bootId: string
  readonly uptimeS: number
}

/** The version that an agent which starts now has to be; `isThere` tells which of them can run. The launcher decides alike. */
export function versionToRun(marks: Marks, moment: Moment, isThere: (version: string) => boolean): string {
  const { current, trial } = marks
  if (trial && isOnTrial(trial, moment) && isThere(trial.version)) return trial.version
  return current !== undefined && isThere(current) ? current : BASE
}

export function isOnTrial({ bootId, untilS }: Trial, moment: Moment): boolean {
  return bootId === moment.bootId && moment.uptimeS < untilS
}

const schema = z.object({
  before: z.string(),
  seconds: z.int(),
  relay: z.boolean(),
  peers: z.array(z.string()),
  socket: z.string(),
  restart: z.nullable(z.string()),
})

/** One line for the launcher, which is a shell script, and one for whoever watches. */
export function encodeTrial({ version, bootId, untilS, terms }: Trial): string {
  return `${version} ${bootId} ${untilS}\n${JSON.stringify(terms)}\n`
}

/** A trial from its file, or undefined when it is damaged. */
export function decodeTrial(text: string): Trial | undefined {
  const [, version = '', bootId = '', until = '', json = ''] =
    /^(\S+) ([0-9a-f-]{36}) (\d{1,12})\n(.*)\n$/.exec(text) ?? []
  if (!isVersion(version)) return undefined
  try {
    return { version, bootId, untilS: Number(until), terms: schema.parse(JSON.parse(json)) }
  } catch {
    return undefined
  }
}
