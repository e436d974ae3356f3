import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { CulvertError, reasonOf } from '../../common/errors.ts'
import { listensOn } from './listens-on.ts'
import { startWatcher } from './watcher.ts'

const AGENT_UNIT = 'culvert-agent.service'
const RELAY_UNIT = 'culvert-relay.service'
const LIMIT_MS = 60_000
/** A relay that starts on a slow card. */
const RELAY_MS = 150_000

const run = promisify(execFile)

/** What starts agent, relay, and whoever watches over a trial on this machine. */
export interface Services {
  /** Has the agent started anew; does not wait until it is up. */
  restart(): Promise<void>
  /** The process that runs as the agent, 0 for none; undefined where nobody can tell. */
  agentPid(): Promise<number | undefined>
  /** Whether a process is who answers on a control socket. */
  listens(pid: number, socketPath: string): Promise<boolean>
  /** Has a relay that runs started anew, and waits for it; false where none runs. */
  restartRelay(): Promise<boolean>
  /** Has somebody watch over the trial below `home`, who outlives us. */
  startWatcher(home: string): Promise<void>
}

/** Whether systemd runs the agent here. */
export function isUnderSystemd(): Promise<boolean> {
  return isActive(AGENT_UNIT)
}

/** By what a shell is to run, or else by systemd. */
export function servicesBy(command: string | null): Services {
  return {
    listens: listensOn,
    startWatcher,
    async restart() {
      try {
        if (command === null) await restartUnit()
        else await run('/bin/sh', ['-c', command], { timeout: LIMIT_MS })
      } catch (thrown) {
        throw new CulvertError('io', `the agent could not be restarted: ${reasonOf(thrown)}`, { cause: thrown })
      }
    },
    async agentPid() {
      if (command !== null) return undefined
      const { stdout } = await run('systemctl', ['show', '--property=MainPID', '--value', AGENT_UNIT], {
        timeout: LIMIT_MS,
      })
      return Number(stdout)
    },
    async restartRelay() {
      if (command !== null || !(await isActive(RELAY_UNIT))) return false
      try {
        await run('systemctl', ['try-restart', RELAY_UNIT], { timeout: RELAY_MS })
        return true
      } catch (thrown) {
        const message = `the relay could not be restarted (${reasonOf(thrown)}); see: journalctl -u ${RELAY_UNIT}`
        throw new CulvertError('io', message, { cause: thrown })
      }
    },
  }
}

async function restartUnit(): Promise<void> {
  // A unit that was given up does not start again by itself.
  await run('systemctl', ['reset-failed', AGENT_UNIT], { timeout: LIMIT_MS }).catch(() => undefined)
  await run('systemctl', ['--no-block', 'restart', AGENT_UNIT], { timeout: LIMIT_MS })
}

async function isActive(unit: string): Promise<boolean> {
  try {
    await run('systemctl', ['is-active', '--quiet', unit], { timeout: LIMIT_MS })
    return true
  } catch {
    return false
  }
}
