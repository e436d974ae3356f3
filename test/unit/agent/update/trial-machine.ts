import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import type { ControlClient } from '../../../../agent/control/control-client.ts'
import { versionToRun } from '../../../../agent/update/marks.ts'
import type { Services } from '../../../../agent/update/restart.ts'
import type { TrialDoors } from '../../../../agent/update/trial.ts'
import { VersionsDirectory } from '../../../../agent/update/versions-directory.ts'
import { CulvertError } from '../../../../common/errors.ts'
import { createLog } from '../../../../common/platform/log.ts'
import { FakeClock } from '../../fake-clock.ts'
import { SAMPLE_STATUS } from '../control/sample-status.ts'

const TERMS = { before: 'base', seconds: 180, relay: false, peers: [], socket: '/run/x.sock', restart: null }

/** Versions that run as the marks say, once they are started; the one on trial may not answer. */
export class TrialMachine implements Services {
  readonly versions: VersionsDirectory
  readonly clock = new FakeClock()
  readonly lines: string[] = []
  works = true
  /** Says that it is the version on trial, whatever it is, and whoever answers. */
  liar = false
  /** Takes connections, and says nothing. */
  stuck = false
  runs = 'base'
  pid = 100
  starts = 0
  relayStarts = 0
  restartFault: CulvertError | undefined

  constructor(versions: VersionsDirectory) {
    this.versions = versions
  }

  get doors(): TrialDoors {
    const { versions, clock, lines } = this
    const status = async (signal?: AbortSignal) => {
      if (this.stuck)
        return new Promise<never>((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
      if (this.liar) return { ...SAMPLE_STATUS, version: '0.2.0', uptimeS: 1 }
      if (this.runs === '0.2.0' && !this.works) throw new CulvertError('agent-not-running', 'mute')
      return { ...SAMPLE_STATUS, version: this.runs, uptimeS: 1 }
    }
    const log = createLog({ level: 'info', style: 'words', write: line => lines.push(line) })
    const client = { status } as Partial<ControlClient> as ControlClient
    return { versions, client, clock, log, services: this, signal: new AbortController().signal }
  }

  async restart(): Promise<void> {
    if (this.restartFault) throw this.restartFault
    this.starts++
    this.pid++
    const [marks, moment] = await Promise.all([this.versions.marks(), this.versions.moment()])
    this.runs = versionToRun(marks, moment, () => true)
  }

  async agentPid(): Promise<number> {
    return this.pid
  }

  async listens(): Promise<boolean> {
    return !this.liar
  }

  async restartRelay(): Promise<boolean> {
    this.relayStarts++
    return true
  }

  async startWatcher(): Promise<void> {
    throw new CulvertError('io', 'there is no systemd-run')
  }

  /** Lets time pass, whenever it is waited for, until something has ended. */
  async ended<T>(work: Promise<T>): Promise<T> {
    let isOver = false
    const over = () => (isOver = true)
    work.then(over, over)
    while (!isOver) {
      await setImmediate()
      if (this.clock.timers > 0) this.clock.advance(250)
    }
    return work
  }
}

export async function startMachine(t: ExecutionContext, home?: string): Promise<TrialMachine> {
  const place = await mkdtemp(join(tmpdir(), 'culvert-trial-'))
  t.teardown(() => rm(place, { recursive: true, force: true }))
  const versions = new VersionsDirectory(home ?? join(place, 'opt'), join(place, 'boot'))
  await versions.open()
  return new TrialMachine(versions)
}

export async function startTrial(t: ExecutionContext, home?: string): Promise<TrialMachine> {
  const machine = await startMachine(t, home)
  await machine.versions.begin(TERMS, '0.2.0')
  return machine
}
