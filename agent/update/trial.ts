import { reasonOf } from '../../common/errors.ts'
import { type Clock, deadline, pause } from '../../common/platform/clock.ts'
import type { Log } from '../../common/platform/log.ts'
import type { ControlClient } from '../control/control-client.ts'
import type { AgentStatus } from '../control/status.ts'
import { isOnTrial, type Trial } from './marks.ts'
import type { Outcome } from './outcome.ts'
import type { Services } from './restart.ts'
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
  readonly services: Services
  /** Aborts when the machine, or somebody, wants this to end; then the trial goes on, or ends with the machine. */
  readonly signal: AbortSignal
}

/** How a trial ended, and whether by what the version did: what never ran may be tried again. */
type End = Pick<Outcome, 'state' | 'reason' | 'untried'>

/**
 * Watches over the trial that the marks tell of, to its end: keeps the version or has the one before start again. May be
 * killed at any moment and begun anew. Resolves with undefined when there is no trial, or when told to end before it does.
 */
export async function watchTrial(doors: TrialDoors): Promise<Outcome | undefined> {
  const { versions, clock } = doors
  const { trial } = await versions.marks()
  if (!trial) return undefined
  const moment = await versions.moment()
  const until = clock.now() + (trial.untilS - moment.uptimeS) * 1000
  const end = isOnTrial(trial, moment) ? await watch(doors, trial, until) : rolledBack('nobody watched over its trial')
  if (end === undefined) return undefined
  const { version, terms } = trial
  const outcome = (how: End) => ({ version, before: terms.before, at: clock.wallNow(), ...how })
  if (end.state === 'rolled-back') return rollBack(doors, trial, outcome(end))
  try {
    await versions.keep(version)
  } catch (thrown) {
    const { current } = await versions.marks()
    if (current !== version) {
      const reason = `it could not be kept: ${reasonOf(thrown)}`
      return rollBack(doors, trial, outcome({ ...rolledBack(reason), untried: true }))
    }
    doors.log.warn('what the trial has left could not be removed', { reason: reasonOf(thrown) })
  }
  doors.log.info(`the update to ${version} is kept`)
  const kept = outcome(end)
  await atBest(doors.log, 'the end of the trial was not written down', () => versions.tell(kept))
  await renewRelay(doors)
  return kept
}

const rolledBack = (reason: string) => ({ state: 'rolled-back', reason }) as const

/** Whatever else fails, by a full disk or by one that takes no writes: the version before starts again. */
async function rollBack(doors: TrialDoors, trial: Trial, outcome: Outcome): Promise<Outcome> {
  const { versions, log, services } = doors
  log.error(`the update to ${trial.version} is rolled back`, { reason: outcome.reason })
  await atBest(log, 'that was not written down', () => versions.tell(outcome))
  await atBest(log, 'the mark of the trial stays', () => versions.endTrial())
  await atBest(log, `${trial.terms.before} was not started`, () => services.restart())
  const answers = await answeredAgain(doors, trial)
  if (answers === undefined) log.error(`${trial.terms.before} does not answer yet`)
  else log.info(`${answers} runs again`)
  return outcome
}

/** A relay on the same machine is the same program; the clients of one come back by themselves. */
export async function renewRelay({ services, log }: Pick<TrialDoors, 'services' | 'log'>): Promise<void> {
  await atBest(log, 'the relay here goes on with the version before', async () => {
    if (await services.restartRelay()) log.info('the relay here runs it, too')
  })
}

async function atBest(log: Log, else_: string, run: () => Promise<void>): Promise<void> {
  try {
    await run()
  } catch (thrown) {
    log.error(else_, { reason: reasonOf(thrown) })
  }
}

/** Has the new version start and looks at it until it is clear what becomes of it; undefined when told to end before. */
async function watch(doors: TrialDoors, trial: Trial, until: number): Promise<End | undefined> {
  const { clock, log, signal, services } = doors
  const { version, terms } = trial
  let isFresh: () => Promise<boolean>
  try {
    isFresh = freshAgent(services, terms.socket, await services.agentPid())
    // Also where this version answers already: who answers may be an agent that was taken over, and lies.
    await services.restart()
  } catch (thrown) {
    return { ...rolledBack(reasonOf(thrown)), untried: true }
  }
  let state: TrialState = beginWatch(clock.now())
  while (!signal.aborted) {
    const seen = (await isFresh()) ? await look(doors, trial) : 'mute'
    if (signal.aborted) break
    const next = watched(state, seen, clock.now(), { version, until, terms })
    if (next.name === 'kept') return { state: 'kept', reason: null }
    if (next.name === 'rolled-back') return rolledBack(next.reason)
    if (next.name === 'proving' && state.name === 'waiting') log.info(`${version}, on trial, reaches what it has to`)
    if (next.name === 'waiting' && state.name === 'proving') log.warn(`${version}, on trial, has lost it again`)
    state = next
    await pause(clock, LOOK_EVERY_MS, signal)
  }
  return undefined
}

/** Tells whether who answers is what was started in the place of a process; where nobody can tell, it is. */
function freshAgent(services: Services, socket: string, before: number | undefined): () => Promise<boolean> {
  let pid = 0
  return async () => {
    if (before === undefined) return true
    if (pid !== 0 && (await services.listens(pid, socket))) return true
    const now = await services.agentPid().catch(() => before)
    const isNew = now !== undefined && now !== 0 && now !== before
    pid = isNew && (await services.listens(now, socket)) ? now : 0
    return pid !== 0
  }
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
