import { createServer } from 'node:net'
import { join } from 'node:path'
import { CulvertError, reasonOf } from '../../common/errors.ts'
import { deadline, pause } from '../../common/platform/clock.ts'
import { listenOnSocketFile } from '../../common/platform/unix-socket.ts'
import type { AgentStatus } from '../control/status.ts'
import { type Acceptance, type OpenRelease, openRelease } from './install-release.ts'
import { isOnTrial, type Trial, type TrialTerms } from './marks.ts'
import type { Outcome } from './outcome.ts'
import { refused } from './release.ts'
import { readSource, type SourceOptions } from './release-source.ts'
import { isUnderSystemd } from './restart.ts'
import { answeredAgain, renewRelay, type TrialDoors, watchTrial } from './trial.ts'

/** As many peers as a trial calls, of those that were connected. */
const MAX_PEERS = 16
/** How much later than its end whoever watches over a trial is taken for dead. */
const WATCHER_LATE_S = 15
const LOOK_EVERY_MS = 250
/** An agent that takes longer hangs. */
const ANSWER_MS = 10_000

export interface UpdateOptions extends Omit<SourceOptions, 'clock'> {
  readonly source: string
  readonly accept: Acceptance
  /** A version that was rolled back before is tried once more. */
  readonly again: boolean
  /** Does not ask for what cannot be had now: a running agent, a relay. */
  readonly unproven: boolean
  readonly seconds: number
  readonly socketPath: string
  readonly restart: string | null
  readonly say: (words: string) => void
}

export type UpdateResult = Pick<Outcome, 'version' | 'reason'> & {
  /** `installed`: without a trial, since no agent answers. */
  readonly state: Outcome['state'] | 'current' | 'installed'
}

/** Takes a release in and puts it on trial. Resolves when the trial has ended, but it ends without us, too. */
export async function update(doors: TrialDoors, options: UpdateOptions): Promise<UpdateResult> {
  const { versions } = doors
  await versions.open()
  await using _lock = await lock(versions.home)
  await settleLast(doors)
  const source = readSource(options.source, { ...options, clock: doors.clock })
  try {
    const release = await openRelease(source, options.accept)
    const { version } = release.manifest
    if (version === options.accept.version) return { version, state: 'current', reason: null }
    const last = await versions.outcome()
    if (last?.state === 'rolled-back' && last.version === version && !last.untried && !options.again) {
      throw refused(`${version} was rolled back before (${last.reason}); --again tries it once more`)
    }
    return await tryOut(doors, release, options)
  } finally {
    await source.return(undefined)
  }
}

async function tryOut(doors: TrialDoors, release: OpenRelease, options: UpdateOptions): Promise<UpdateResult> {
  const { versions } = doors
  const { version, bytes, key } = release.manifest
  // Before anything is fetched, and again when it is there.
  await termsNow(doors, options)
  options.say(`culvert ${version}, ${Math.ceil(bytes / 1e6)} MB, signed by ${key}`)
  await versions.sweep()
  await release.install(versions)
  const terms = await termsNow(doors, options)
  if (!terms) {
    await versions.keep(version)
    const { version: before } = options.accept
    await versions.tell({ version, before, state: 'kept', reason: null, at: doors.clock.wallNow() })
    await renewRelay(doors)
    return { version, state: 'installed', reason: null }
  }
  const goal = [terms.relay ? 'a relay' : 'its control socket', ...(terms.peers.length > 0 ? ['a peer'] : [])].join(
    ' and ',
  )
  options.say(`installed; now on trial: it has ${options.seconds} s to reach ${goal}, else ${terms.before} comes back`)
  const earlier = await versions.outcome()
  const trial = await versions.begin(terms, version)
  try {
    await doors.services.startWatcher(versions.home)
  } catch (thrown) {
    doors.log.warn('the trial is watched over from here, so let this command run', { reason: reasonOf(thrown) })
    return (await watchTrial(doors)) ?? (await awaitEnd(doors, trial, earlier))
  }
  return awaitEnd(doors, trial, earlier)
}

/** A trial that was cut off, with the machine or without, is over; one that goes on is not disturbed. */
async function settleLast(doors: TrialDoors): Promise<void> {
  const { trial } = await doors.versions.marks()
  if (!trial) {
    // Nor is one whose mark cannot be read.
    await doors.versions.endTrial()
    return
  }
  if (isOnTrial(trial, await doors.versions.moment())) {
    throw new CulvertError('busy', `${trial.version} is on trial now; "culvert version" tells when that has ended`)
  }
  const { version, terms } = trial
  const reason = 'its trial was cut off'
  await doors.versions.tell({ version, before: terms.before, state: 'rolled-back', reason, at: doors.clock.wallNow() })
  await doors.versions.endTrial()
}

/** What the new version has to reach; undefined when no agent answers that could show it. */
async function termsNow(doors: TrialDoors, options: UpdateOptions): Promise<TrialTerms | undefined> {
  const status = await statusNow(doors, options)
  if (!status) return undefined
  if (options.restart === null && !(await isUnderSystemd())) {
    throw new CulvertError('usage', 'the agent is not run by culvert-agent.service; give --restart COMMAND')
  }
  const relay = status.relays.some(({ state }) => state === 'connected')
  if (!relay && !options.unproven) throw notProvable('the agent reaches no relay')
  // Without a relay a peer is often not found again, whatever the version.
  const peers = status.peers.flatMap(({ name, state }) => (relay && state === 'connected' ? [name] : []))
  return {
    before: options.accept.version,
    seconds: options.seconds,
    relay,
    peers: peers.slice(0, MAX_PEERS),
    socket: options.socketPath,
    restart: options.restart,
  }
}

async function statusNow({ client, clock }: TrialDoors, options: UpdateOptions): Promise<AgentStatus | undefined> {
  const late = deadline(clock, ANSWER_MS, options.signal)
  try {
    return await client.status(late.signal)
  } catch (thrown) {
    const notThere = thrown instanceof CulvertError && thrown.code === 'agent-not-running'
    const hangs = late.signal.aborted && !options.signal.aborted
    if (!notThere && !hangs) throw thrown
    if (!options.unproven) throw notProvable(hangs ? 'the agent here does not answer' : 'no agent runs here', thrown)
    return undefined
  } finally {
    late.done()
  }
}

function notProvable(why: string, cause?: unknown): CulvertError {
  const message = `${why}, so nothing could tell whether the update works; mend that first ("culvert doctor"), or give --unproven`
  return new CulvertError('update-refused', message, { cause })
}

/** One at a time; a lock of a process that was killed counts for nothing. */
async function lock(home: string): Promise<AsyncDisposable> {
  const server = createServer(socket => socket.destroy())
  try {
    await listenOnSocketFile(server, join(home, 'lock'))
  } catch (thrown) {
    if (!(thrown instanceof CulvertError) || thrown.code !== 'port-in-use') throw thrown
    throw new CulvertError('busy', 'another update is under way', { cause: thrown })
  }
  return server
}

async function awaitEnd(doors: TrialDoors, trial: Trial, earlier: Outcome | undefined): Promise<UpdateResult> {
  const { versions, clock, signal } = doors
  const { version } = trial
  while (await goesOn(doors, trial)) {
    const { uptimeS } = await versions.moment()
    const late = uptimeS >= trial.untilS + WATCHER_LATE_S
    const ended = late ? await watchTrial(doors) : undefined
    if (ended) return ended
    if (!(await pause(clock, LOOK_EVERY_MS, signal))) {
      const message = `the trial of ${version} goes on without this command; "culvert version" tells how it ends`
      throw new CulvertError('aborted', message)
    }
  }
  if ((await versions.marks()).current === version) return { version, state: 'kept', reason: null }
  await answeredAgain(doors, trial)
  const [outcome, { bootId }] = await Promise.all([versions.outcome(), versions.moment()])
  const isTold = outcome?.version === version && outcome.at !== earlier?.at
  // Whoever ends a trial with its outcome takes its boot mark, too.
  const untold = bootId === trial.bootId ? 'a package that is as new was installed' : null
  return { version, state: 'rolled-back', reason: isTold ? outcome.reason : untold }
}

async function goesOn({ versions }: TrialDoors, { bootId }: Trial): Promise<boolean> {
  const [marks, moment] = await Promise.all([versions.marks(), versions.moment()])
  return marks.trial !== undefined && moment.bootId === bootId
}
