import { CulvertError } from '../../common/errors.ts'
import { systemClock } from '../../common/platform/clock.ts'
import { createLog, logStyle } from '../../common/platform/log.ts'
import { createControlClient } from '../control/control-client.ts'
import { releaseKeys } from '../update/release-keys.ts'
import { servicesBy } from '../update/restart.ts'
import { type TrialDoors, watchTrial } from '../update/trial.ts'
import { type UpdateResult, update } from '../update/update.ts'
import { VERSIONS_HOME, VersionsDirectory } from '../update/versions-directory.ts'
import { VERSION } from '../version.ts'
import type { Arguments, CommandIo } from './command.ts'
import { EXIT_DONE } from './exit-code.ts'
import { asUsage, line, printJson } from './output.ts'
import { socketPathOf } from './running-agent.ts'

const TRIAL_S = { default: 180, least: 10, most: 3_600 }

export async function run(args: Arguments, io: CommandIo): Promise<number> {
  // The clock's own timers let a process end that has nothing else to do.
  const alive = setInterval(() => undefined, 2 ** 30)
  try {
    return args.flag('watch') ? await watch(args, io) : await updateFrom(args, io)
  } finally {
    clearInterval(alive)
  }
}

async function updateFrom(args: Arguments, io: CommandIo): Promise<number> {
  const source = args.operand(0)
  if (source === '') throw asUsage('FILE or URL is missing; see "culvert help update"')
  const seconds = trialSeconds(args)
  if (homeOf(args) === VERSIONS_HOME && process.geteuid?.() !== 0) {
    throw new CulvertError('not-authorized', `${VERSIONS_HOME} belongs to root; run it with sudo`)
  }
  const socketPath = await socketPathOf(args, io)
  const restart = args.value('restart') ?? null
  const result = await update(doorsTo(args, io, socketPath, restart), {
    source,
    accept: {
      keys: await releaseKeys(args.value('keys')),
      arch: process.arch,
      version: VERSION,
      allowDowngrade: args.flag('allow-downgrade'),
    },
    again: args.flag('again'),
    unproven: args.flag('unproven'),
    seconds,
    socketPath,
    restart,
    env: io.env,
    signal: io.signal,
    say: words => (args.flag('json') ? undefined : io.out(line(words))),
  })
  if (result.state === 'rolled-back') throw rolledBack(result)
  if (args.flag('json')) printJson(io, { version: result.version, state: result.state, before: VERSION })
  else io.out(line(words(result)))
  return EXIT_DONE
}

/** What the unit of a trial runs. */
async function watch(args: Arguments, io: CommandIo): Promise<number> {
  const { trial } = await new VersionsDirectory(homeOf(args)).marks()
  if (trial) await watchTrial(doorsTo(args, io, trial.terms.socket, trial.terms.restart))
  return EXIT_DONE
}

function doorsTo(args: Arguments, io: CommandIo, socketPath: string, restart: string | null): TrialDoors {
  return {
    versions: new VersionsDirectory(homeOf(args)),
    client: createControlClient(socketPath),
    clock: systemClock,
    log: createLog({ level: 'info', ...logStyle(io.env, systemClock), write: io.err }).area('update'),
    services: servicesBy(restart),
    signal: io.signal,
  }
}

function homeOf(args: Arguments): string {
  return args.value('home') ?? VERSIONS_HOME
}

function trialSeconds(args: Arguments): number {
  const { default: usual, least, most } = TRIAL_S
  const written = args.value('trial')
  const seconds = Number(written ?? usual)
  if (Number.isInteger(seconds) && seconds >= least && seconds <= most) return seconds
  throw asUsage(`"${written?.slice(0, 40)}" is no number of seconds from ${least} to ${most}`)
}

function words({ version, state }: UpdateResult): string {
  if (state === 'current') return `culvert ${version} is here already`
  const untried = `culvert ${version} is installed, and was not tried, as no agent answers here`
  return state === 'installed' ? untried : `culvert ${version} is kept`
}

function rolledBack({ version, reason }: UpdateResult): CulvertError {
  const why = reason === null ? ' (why is in the journal of culvert-update)' : `: ${reason}`
  return new CulvertError('update-rolled-back', `${version} was rolled back${why}; ${VERSION} runs again`)
}
