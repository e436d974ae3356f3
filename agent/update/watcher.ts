import { execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import { isPackaged } from '../../common/platform/packed.ts'

const UNIT = 'culvert-update'
const LIMIT_MS = 60_000

const run = promisify(execFile)

/**
 * Starts what watches over the trial, apart from us: whoever updates a machine over culvert itself loses the connection
 * with the restart. Rejects when nothing was started.
 */
export async function startWatcher(home: string): Promise<void> {
  const self = [process.execPath, ...(isPackaged ? [] : process.argv.slice(1, 2)), 'update', '--watch', '--home', home]
  const env = { PATH: process.env.PATH }
  if (existsSync('/run/systemd/system')) {
    // The last one may still wait for what came after its trial, and its name is taken so long.
    await run('systemctl', ['--quiet', 'stop', `${UNIT}.service`], { timeout: LIMIT_MS }).catch(() => undefined)
    const unit = [`--unit=${UNIT}`, '--collect', '--quiet', '-p', 'Restart=on-failure', '-p', 'RestartSec=1']
    await run('systemd-run', [...unit, '--', ...self], { timeout: LIMIT_MS, env })
    return
  }
  const [command = '', ...args] = self
  const child = spawn(command, args, { detached: true, stdio: 'ignore', env })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  child.once('spawn', resolve)
  child.once('error', reject)
  child.unref()
  await promise
}
