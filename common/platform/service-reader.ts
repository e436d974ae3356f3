import { realpath, stat } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { dirname } from 'node:path'

/** How root gives a file to a service that may read it and not change it. */
export function handingOver(file: string, user: string): string {
  return `run: chown root:${user} ${file} && chmod 640 ${file}`
}

/** The same where this process is a service, which nobody can run with sudo; else undefined. */
export function handingToUs(file: string): string | undefined {
  if (!process.env.NOTIFY_SOCKET) return undefined
  try {
    return handingOver(file, userInfo().username)
  } catch {
    return undefined
  }
}

export interface Unreadable {
  /** `mode 600, owner 0:0`: numbers, because names may be those of a directory service. */
  readonly value: string
  /** No mode of the file helps: a directory above it is closed to the user. */
  readonly closed: boolean
}

/**
 * Why this user, with its groups, cannot read a file that is there; undefined when it can, or when that cannot be told,
 * as only root can ask in another's place. The user's group has its name. The kernel is asked: modes alone tell nothing of
 * access lists.
 */
export async function whyUnreadable(file: string, user: string): Promise<Unreadable | undefined> {
  if (process.geteuid?.() !== 0) return undefined
  try {
    const place = await realpath(file)
    const { mode, uid, gid } = await stat(place)
    const answer = await askAs(user, place)
    if (answer !== 'unreadable' && answer !== 'closed') return undefined
    return { value: `mode ${(mode & 0o777).toString(8)}, owner ${uid}:${gid}`, closed: answer === 'closed' }
  } catch {
    return undefined
  }
}

const ASK = 'if [ -r "$1" ]; then echo readable; elif [ -x "$2" ]; then echo unreadable; else echo closed; fi'
const ASK_MS = 5_000

async function askAs(user: string, place: string): Promise<string> {
  // Only here, because nothing else that the agent does needs it.
  const { execFile } = process.getBuiltinModule('node:child_process')
  const { promisify } = process.getBuiltinModule('node:util')
  const identity = [`--reuid=${user}`, `--regid=${user}`, '--init-groups']
  const args = [...identity, '--', 'sh', '-c', ASK, 'sh', place, dirname(place)]
  const { stdout } = await promisify(execFile)('setpriv', args, { timeout: ASK_MS })
  return stdout.trim()
}
