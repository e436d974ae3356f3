import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { CulvertError, reasonOf } from '../../common/errors.ts'

export const AGENT_UNIT = 'culvert-agent.service'
const LIMIT_MS = 60_000

const run = promisify(execFile)

/** Whether systemd runs the agent here. */
export async function isUnderSystemd(): Promise<boolean> {
  try {
    await run('systemctl', ['is-active', '--quiet', AGENT_UNIT], { timeout: LIMIT_MS })
    return true
  } catch {
    return false
  }
}

/** Has the agent started anew, by what a shell is to run or else by systemd; does not wait until it is up. */
export async function restartAgent(command: string | null): Promise<void> {
  try {
    if (command !== null) {
      await run('/bin/sh', ['-c', command], { timeout: LIMIT_MS })
      return
    }
    // A unit that was given up does not start again by itself.
    await run('systemctl', ['reset-failed', AGENT_UNIT], { timeout: LIMIT_MS }).catch(() => undefined)
    await run('systemctl', ['--no-block', 'restart', AGENT_UNIT], { timeout: LIMIT_MS })
  } catch (thrown) {
    throw new CulvertError('io', `the agent could not be restarted: ${reasonOf(thrown)}`, { cause: thrown })
  }
}
