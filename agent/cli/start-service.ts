import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import { CulvertError, reasonOf } from '../../common/errors.ts'
import { serviceOf } from '../config/installed-service.ts'
import { howToRun } from './how-to-run.ts'
import { asUsage } from './output.ts'

/** Where this is, systemd is what runs services (sd_booted(3)). */
const BOOTED = '/run/systemd/system'
/** The unit gives a first start on a slow card two minutes. */
const START_LIMIT_MS = 150_000

/** Throws `usage` where `--start` cannot do what it says, before anything else is done. */
export function refuseStart(configPath: string): void {
  if (!serviceOf(configPath) || !existsSync(BOOTED)) {
    throw asUsage(`--start: no service runs with ${configPath} here; without it, then run: ${howToRun(configPath)}`)
  }
  if (process.geteuid?.() !== 0) throw asUsage('--start takes root: run it with sudo')
}

/** Has the agent run now and at every start of the machine; resolves when it is ready. */
export async function startService(configPath: string): Promise<void> {
  try {
    await promisify(execFile)('systemctl', ['--quiet', 'enable', '--now', 'culvert-agent'], {
      timeout: START_LIMIT_MS,
    })
  } catch (thrown) {
    const remedy = 'see "systemctl status culvert-agent", or "journalctl -u culvert-agent"'
    const message = `the agent of ${configPath} does not start (${reasonOf(thrown)}); ${remedy}`
    throw new CulvertError('io', message, { cause: thrown })
  }
}
