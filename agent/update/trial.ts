import { CulvertError, reasonOf } from '../../common/errors.ts'
import { type Clock, deadline, pause } from '../../common/platform/clock.ts'
import type { Log } from '../../common/platform/log.ts'
import type { ControlClient } from '../control/control-client.ts'
import type { AgentStatus } from '../control/status.ts'
import { isOnTrial, type Trial } from './marks.ts'
import type { Outcome } from './outcome.ts'
import { beginWatch, type Look, type TrialState, watched } from './trial-watch.ts'
import type { VersionsDirectory } from './versions-directory.ts'

const LOOK_EVERY_MS = 500
const ANSWER_MS = 5_000
/** How long the version before may take until it answers again. */
const BACK_MS = 60_000

export interface TrialDoors {
  readonly versions: VersionsDirectory
  readonly client: ControlClient
  readonly clock: Clock
  readonly log: Log
  readonly restart: () => Promise<void>
  /** Aborts when the machine, or somebody, wants this to end; then the trial goes on, or ends with the machine. */
  readonly signal: AbortSignal
}

/**
 * Watches over the trial that the marks tell of, to its end: keeps the version or has the one before start again. May be
 * killed at any moment and begun anew. Resolves with undefined when there is no trial, or when told to end before it does.
 */
export async function watchTrial(doors: TrialDoors): Promise<Outcome | undefined> {
  const { versions, clock, log } = doors
  const { trial } = await versions.marks()
  if (!trial) return undefined
  const moment = await versions.moment()
  const until = clock.now() + (trial.untilS - moment.uptimeS) * 1000
  const state = isOnTrial(trial, moment) ? await watch(doors, trial, until) : undefined
  if (state?.name === 'waiting' || state?.name === 'proving') return undefined
  const outcome = (ended: Pick<Outcome, 'state' | 'reason'>) => ({
    version: trial.version,
    before: trial.terms.before,
    at: clock.wallNow(),
    ...ended,
  })
  if (state?.name === 'kept') {
    await versions.keep(trial.version)
    log.info(`the update to ${trial.version} is kept`)
    const kept = outcome({ state: 'kept', reason: null })
    await versions.tell(kept)
    return kept
  }
  const reason = state?.name === 'rolled-back' ? state.reason : 'nobody watched over its trial'
  const rolledBack = outcome({ state: 'rolled-back', reason })
  log.error(`the update to ${trial.version} is rolled back`, { reason })
  await versions.tell(rolledBack)
  await versions.endTrial()
  await goBack(doors, trial)
  return rolledBack
}

/** Has the new version start, unless it did, and looks at it until it is clear what becomes of it. */
async function watch(doors: TrialDoors, trial: Trial, until: number): Promise<TrialState> {
  const { clock, log, signal } = doors
  const { version, terms } = trial
  try {
    if ((await answeringVersion(doors)) !== version) await doors.restart()
  } catch (thrown) {
    return { name: 'rolled-back', reason: reasonOf(thrown) }
  }
  let state = beginWatch(clock.now())
  while ((state.name === 'waiting' || state.name === 'proving') && !signal.aborted) {
    const seen = await look(doors, trial)
    if (signal.aborted) break
    const next = watched(state, seen, clock.now(), { version, until, terms })
    if (next.name === 'proving' && state.name === 'waiting') log.info(`${version}, on trial, reaches what it has to`)
    if (next.name === 'waiting' && state.name === 'proving') log.warn(`${version}, on trial, has lost it again`)
    state = next
    await pause(clock, LOOK_EVERY_MS, signal)
  }
  return state
}

async function look({ client, clock, signal }: TrialDoors, { version, terms }: Trial): Promise<Look> {
  const late = deadline(clock, ANSWER_MS, signal)
  try {
    const status = await client.status(late.signal)
    const relay = status.relays.some(({ state }) => state === 'connected')
    const ready = status.version === version && (relay || !terms.relay)
    const peer = ready && (await reachesPeer(client, terms.peers, status, late.signal))
    return { version: status.version, upSince: clock.now() - status.uptimeS * 1000, relay, peer }
  } catch {
    return 'mute'
  } finally {
    late.done()
  }
}

/** A peer that nobody uses is not called by itself, so it is called here. */
async function reachesPeer(
  client: ControlClient,
  names: readonly string[],
  { peers }: AgentStatus,
  signal: AbortSignal,
): Promise<boolean> {
  if (peers.some(({ name, state }) => names.includes(name) && state === 'connected')) return true
  try {
    await Promise.any(names.map(name => client.ping(name, signal)))
    return true
  } catch {
    return false
  }
}

async function answeringVersion({ client, clock, signal }: TrialDoors): Promise<string | undefined> {
  const late = deadline(clock, ANSWER_MS, signal)
  try {
    return (await client.status(late.signal)).version
  } catch {
    return undefined
  } finally {
    late.done()
  }
}

async function goBack(doors: TrialDoors, trial: Trial): Promise<void> {
  const { log } = doors
  try {
    await doors.restart()
  } catch (thrown) {
    if (!(thrown instanceof CulvertError)) throw thrown
    log.error(thrown.message)
  }
  const answers = await answeredAgain(doors, trial)
  if (answers === undefined) log.error(`${trial.terms.before} does not answer yet`)
  else log.info(`${answers} runs again`)
}

/** Waits for a version that answers in the place of the one on trial; undefined when none does so for a minute. */
export async function answeredAgain(doors: TrialDoors, { version }: Trial): Promise<string | undefined> {
  const { clock, signal } = doors
  const until = clock.now() + BACK_MS
  do {
    const answers = await answeringVersion(doors)
    if (answers !== undefined && answers !== version) return answers
  } while ((await pause(clock, LOOK_EVERY_MS, signal)) && clock.now() < until)
  return undefined
}
