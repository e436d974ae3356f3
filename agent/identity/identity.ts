import { constants } from 'node:fs'
import { type FileHandle, open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { asCulvertError, CulvertError, reasonOf, systemCodeOf } from '../../common/errors.ts'
import { makeDirectory, removeLeftBehind, syncDirectory, writeFileAtomic } from '../../common/platform/atomic-file.ts'
import type { Clock } from '../../common/platform/clock.ts'
import { generateKeyPair, type KeyPair } from '../../common/platform/ed25519.ts'
import type { Log } from '../../common/platform/log.ts'
import { parsePeerId } from '../../common/wire/peer-id.ts'
import { createFile } from './create-file.ts'
import { exists } from './exists.ts'
import { decodeKeyFile, encodeKeyFile } from './key-file.ts'
import { openStateFile, readAtMost } from './state-file.ts'

export const KEY_FILE = 'identity.key'
/** The peer id alone: for people, and so that a lost key is noticed. */
const PUBLIC_FILE = 'identity.pub'
/** Where one of these is, there has been an identity. */
const TRACES = [PUBLIC_FILE, 'ports.json']
/** What we replace as a whole. */
const STATE_FILES = [
  KEY_FILE,
  'network.key',
  'join.code',
  'paths.json',
  'address-book.json',
  'address-record',
  'dht-nodes.json',
  ...TRACES,
]
const FILE_BYTES_LIMIT = 4096

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
    await using file = await openStateFile(join(stateDir, KEY_FILE))
    const key = decodeKeyFile((await readAtMost(file, FILE_BYTES_LIMIT))?.toString('utf8') ?? '')
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
    await using directory = await open(stateDir, constants.O_RDONLY | constants.O_DIRECTORY)
    const { mode } = await directory.stat()
    if ((mode & 0o077) === 0) return files
    // Whoever names /tmp or a home by mistake must not find it closed to everyone else.
    const isOurs = files.length === 0 || files.includes(KEY_FILE) || files.includes(PUBLIC_FILE)
    if (isOurs) await directory.chmod(0o700)
    else log.warn(`other users may look into ${stateDir}; use a directory of culvert's own as "stateDir"`)
    return files
  })
}

async function readKey(stateDir: string, log: Log): Promise<KeyPair> {
  const path = join(stateDir, KEY_FILE)
  await using file = await openKey(path)
  const text = await readAtMost(file, FILE_BYTES_LIMIT)
  const key = text === undefined ? 'is too long to be a key file' : decodeKeyFile(text.toString('utf8'))
  if (typeof key === 'string') {
    const message = `the identity ${path} ${key}; put back a good copy of it, or remove it together with ${PUBLIC_FILE} to begin anew under another id`
    throw new CulvertError('identity-unreadable', message)
  }
  await tightenKey(path, file, log)
  return key
}

async function openKey(path: string): Promise<FileHandle> {
  try {
    return await openStateFile(path)
  } catch (thrown) {
    if (thrown instanceof CulvertError) throw new CulvertError('identity-unreadable', thrown.message, { cause: thrown })
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
async function tightenKey(path: string, file: FileHandle, log: Log): Promise<void> {
  const { mode } = await file.stat()
  if ((mode & 0o077) === 0) return
  try {
    await file.chmod(0o600)
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
  const named = await readPublic(path)
  if (named === key.id) return
  if (named !== undefined && named !== '') {
    // What is no id may be anybody's secret.
    const other = parsePeerId(named) ?? 'what is no peer id'
    const message = `${KEY_FILE} in ${stateDir} is the key of ${key.id}, but ${PUBLIC_FILE} says ${other}; put back the key that belongs to it, or remove ${PUBLIC_FILE} to go on with this one`
    throw new CulvertError('identity-unreadable', message)
  }
  await inStateDir(stateDir, async () => {
    // The key first, also one that another process is just making: with the trace alone it would count as lost.
    await syncDirectory(stateDir)
    await writeFileAtomic(path, `${key.id}\n`, 0o644)
  })
}

/** What `identity.pub` says; undefined when it is not there. */
async function readPublic(path: string): Promise<string | undefined> {
  try {
    await using file = await openStateFile(path)
    return (await readAtMost(file, FILE_BYTES_LIMIT))?.toString('utf8').trim() ?? 'more than an id'
  } catch (thrown) {
    if (systemCodeOf(thrown) === 'ENOENT') return undefined
    throw asCulvertError(thrown, 'io', `cannot read ${path}`)
  }
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
