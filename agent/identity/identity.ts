import { chmod, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { CulvertError, reasonOf, systemCodeOf } from '../../common/errors.ts'
import { makeDirectory, removeLeftBehind, syncDirectory, writeFileAtomic } from '../../common/platform/atomic-file.ts'
import type { Clock } from '../../common/platform/clock.ts'
import { generateKeyPair, type KeyPair } from '../../common/platform/ed25519.ts'
import type { Log } from '../../common/platform/log.ts'
import { createFile } from './create-file.ts'
import { exists } from './exists.ts'
import { decodeKeyFile, encodeKeyFile } from './key-file.ts'

export const KEY_FILE = 'identity.key'
/** The peer id alone: for people, and so that a lost key is noticed. */
const PUBLIC_FILE = 'identity.pub'
/** Where one of these is, there has been an identity. */
const TRACES = [PUBLIC_FILE, 'ports.json']
/** What we replace as a whole. */
const STATE_FILES = [KEY_FILE, 'network.key', 'paths.json', 'address-book.json', 'address-record', ...TRACES]
const KEY_BYTES_LIMIT = 4096

export interface IdentityContext {
  readonly log: Log
}

/**
 * The key pair of this machine, made on the first start. A key that is lost, unreadable or not the one that
 * `identity.pub` names is the error `identity-unreadable`: a new identity would lock out every peer without a word.
 */
export async function loadOrCreateIdentity(stateDir: string, context: IdentityContext): Promise<KeyPair> {
  const files = await openStateDir(stateDir, context.log)
  // Looked up after the listing, since another process may just have written the key and then the traces.
  if (!files.includes(KEY_FILE) && !(await exists(join(stateDir, KEY_FILE)))) {
    const trace = TRACES.find(file => files.includes(file))
    if (trace !== undefined) throw lostKey(stateDir, trace)
    const made = encodeKeyFile(generateKeyPair())
    await inStateDir(stateDir, () => createFile(join(stateDir, KEY_FILE), made, 0o600))
  }
  // Read back even when just made: another process may have been first, and its key is then the one that counts.
  const key = await readKey(stateDir, context.log)
  await keepPublicFile(stateDir, key)
  return key
}

/** Removes what writers that were killed have left in a state directory; some of it may be a half-written key. */
export async function tidyStateDir(stateDir: string, clock: Pick<Clock, 'wallNow'>, log: Log): Promise<void> {
  const files = await inStateDir(stateDir, () => removeLeftBehind(stateDir, STATE_FILES, clock.wallNow()))
  if (files.length > 0) log.info('removed what a killed process left behind', { files: files.join(',') })
}

/** The peer id in a state directory without making anything; undefined when there is none that can be read. */
export async function readIdentity(stateDir: string): Promise<KeyPair | undefined> {
  try {
    const key = decodeKeyFile(await readFile(join(stateDir, KEY_FILE), 'utf8'))
    return typeof key === 'string' ? undefined : key
  } catch {
    return undefined
  }
}

/** Makes the state directory (0700), or tightens one that is ours, and lists what is in it. */
async function openStateDir(stateDir: string, log: Log): Promise<readonly string[]> {
  return inStateDir(stateDir, async () => {
    await makeDirectory(stateDir, 0o700)
    const files = await readdir(stateDir)
    const { mode } = await stat(stateDir)
    if ((mode & 0o077) === 0) return files
    // Whoever names /tmp or a home by mistake must not find it closed to everyone else.
    const isOurs = files.length === 0 || files.includes(KEY_FILE) || files.includes(PUBLIC_FILE)
    if (isOurs) await chmod(stateDir, 0o700)
    else log.warn(`other users may look into ${stateDir}; use a directory of culvert's own as "stateDir"`)
    return files
  })
}

async function readKey(stateDir: string, log: Log): Promise<KeyPair> {
  const path = join(stateDir, KEY_FILE)
  const key = decodeKeyFile(await readKeyText(path))
  if (typeof key === 'string') {
    const message = `the identity ${path} ${key}; put back a good copy of it, or remove it together with ${PUBLIC_FILE} to begin anew under another id`
    throw new CulvertError('identity-unreadable', message)
  }
  await tightenKey(path, log)
  return key
}

async function readKeyText(path: string): Promise<string> {
  try {
    const { size } = await stat(path)
    if (size > KEY_BYTES_LIMIT) throw new CulvertError('identity-unreadable', `${path} is too long to be a key file`)
    return await readFile(path, 'utf8')
  } catch (thrown) {
    if (thrown instanceof CulvertError) throw thrown
    const denied = systemCodeOf(thrown) === 'EACCES'
    const remedy = denied ? 'run culvert as the owner of that file' : 'check the disk and the path'
    const message = `the identity ${path} cannot be read (${reasonOf(thrown)}); ${remedy}`
    throw new CulvertError('identity-unreadable', message, { cause: thrown })
  }
}

/**
 * A key that others may read is closed to them and the agent goes on: a device that no longer starts after its state was
 * copied back from a backup is lost to its owner, and a refusal would not take back what was read meanwhile.
 */
async function tightenKey(path: string, log: Log): Promise<void> {
  const { mode } = await stat(path)
  if ((mode & 0o077) === 0) return
  try {
    await chmod(path, 0o600)
  } catch (thrown) {
    const message = `other users may read ${path}, and that could not be changed (${reasonOf(thrown)}); run: chmod 600 ${path}`
    throw new CulvertError('identity-unreadable', message, { cause: thrown })
  }
  log.warn(
    `${path} could be read by other users; it is closed to them now. If one of them may have copied it, make a new identity`,
    {
      mode: (mode & 0o777).toString(8),
    },
  )
}

async function keepPublicFile(stateDir: string, key: KeyPair): Promise<void> {
  const path = join(stateDir, PUBLIC_FILE)
  let named: string | undefined
  try {
    named = (await readFile(path, 'utf8')).trim()
  } catch (thrown) {
    if (systemCodeOf(thrown) !== 'ENOENT')
      throw new CulvertError('io', `cannot read ${path}: ${reasonOf(thrown)}`, { cause: thrown })
  }
  if (named === key.id) return
  if (named !== undefined && named !== '') {
    const message = `${KEY_FILE} in ${stateDir} is the key of ${key.id}, but ${PUBLIC_FILE} says ${named.slice(0, 60)}; put back the key that belongs to it, or remove ${PUBLIC_FILE} to go on with this one`
    throw new CulvertError('identity-unreadable', message)
  }
  await inStateDir(stateDir, async () => {
    // The key first, also one that another process is just making: with the trace alone it would count as lost.
    await syncDirectory(stateDir)
    await writeFileAtomic(path, `${key.id}\n`, 0o644)
  })
}

function lostKey(stateDir: string, trace: string): CulvertError {
  const message = `${stateDir} has ${trace} but no ${KEY_FILE}: the identity of this machine is lost; put the key file back from a backup, or remove ${TRACES.join(' and ')} from there to begin anew under another id`
  return new CulvertError('identity-unreadable', message)
}

/** Errors of the disk name the directory and what would mend them. */
async function inStateDir<T>(stateDir: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (thrown) {
    if (thrown instanceof CulvertError) throw thrown
    const code = systemCodeOf(thrown)
    const denied = code === 'EACCES' || code === 'EPERM' || code === 'EROFS'
    const remedy = denied ? 'run culvert as the owner of that directory, or name another "stateDir"' : 'check the disk'
    const message = `cannot use the state directory ${stateDir} (${reasonOf(thrown)}); ${remedy}`
    throw new CulvertError('io', message, { cause: thrown })
  }
}
