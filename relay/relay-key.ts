import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CulvertError, reasonOf, systemCodeOf } from '../common/errors.ts'
import { makeDirectory, removeLeftBehind, writeFileAtomic } from '../common/platform/atomic-file.ts'
import type { Clock } from '../common/platform/clock.ts'
import { generateKeyPair, type KeyPair, keyPairFromSeed, SEED_BYTES } from '../common/platform/ed25519.ts'
import { STANDINGS_FILE } from './standings-file.ts'

const KEY_FILE = 'relay.key'
/** Beside the key, so that a lost key is told from a first start. */
const ID_FILE = 'relay.id'

/**
 * The relay's key pair: 32 bytes as base64 in `relay.key`, mode 0600, made on the first start. A key that is lost,
 * unreadable or not the one that agents know is `identity-unreadable`; never a silent new identity.
 */
export async function loadRelayKey(stateDir: string): Promise<KeyPair> {
  const path = join(stateDir, KEY_FILE)
  const text = await readIfThere(path)
  const knownId = (await readIfThere(join(stateDir, ID_FILE)))?.trim()
  if (text === undefined) {
    if (knownId === undefined) return makeKey(stateDir)
    const remedy = `restore it from a backup, or remove ${join(stateDir, ID_FILE)} to begin with a new id`
    throw new CulvertError('identity-unreadable', `${path}, the key of relay ${knownId}, is gone; ${remedy}`)
  }
  const seed = Buffer.from(text.trim(), 'base64')
  if (seed.length !== SEED_BYTES || seed.toString('base64') !== text.trim()) {
    const remedy = 'restore it from a backup, or remove relay.key and relay.id to begin with a new id'
    throw new CulvertError('identity-unreadable', `${path} is no relay key; ${remedy}`)
  }
  const key = keyPairFromSeed(new Uint8Array(seed))
  if (knownId !== undefined && knownId !== key.id) {
    const remedy = 'restore the right key, or remove relay.id to be known by the new id'
    throw new CulvertError('identity-unreadable', `${path} is the key of ${key.id}, not of ${knownId}; ${remedy}`)
  }
  if (knownId === undefined) await write(join(stateDir, ID_FILE), `${key.id}\n`, 0o644)
  return key
}

/** Removes what relays that were killed have left in the state directory. */
export async function tidyRelayState(stateDir: string, clock: Pick<Clock, 'wallNow'>): Promise<void> {
  await removeLeftBehind(stateDir, [KEY_FILE, ID_FILE, STANDINGS_FILE], clock.wallNow())
}

async function makeKey(stateDir: string): Promise<KeyPair> {
  const key = generateKeyPair()
  try {
    await makeDirectory(stateDir, 0o700)
  } catch (cause) {
    const remedy = 'create it for the user that runs the relay, or set stateDir to a directory that this user owns'
    const reason = await whyNotMade(stateDir, cause)
    throw new CulvertError('io', `stateDir ${stateDir} cannot be made (${reason}); ${remedy}`, { cause })
  }
  // The key first: an id without a key would be a lost key after a power cut between the two.
  await write(join(stateDir, KEY_FILE), `${Buffer.from(key.seed).toString('base64')}\n`, 0o600)
  await write(join(stateDir, ID_FILE), `${key.id}\n`, 0o644)
  return key
}

/** mkdir of Node says ENOENT where the disk takes no writes, also of a directory whose parent is there. */
async function whyNotMade(directory: string, cause: unknown): Promise<string> {
  if (systemCodeOf(cause) !== 'ENOENT') return reasonOf(cause)
  try {
    await mkdir(directory)
    return reasonOf(cause)
  } catch (thrown) {
    return reasonOf(thrown)
  }
}

async function write(path: string, content: string, mode: number): Promise<void> {
  try {
    await writeFileAtomic(path, content, mode)
  } catch (cause) {
    const remedy = 'let the user that runs the relay write there, or set stateDir to a directory that this user owns'
    throw new CulvertError('io', `${path} cannot be written (${reasonOf(cause)}); ${remedy}`, { cause })
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    if (systemCodeOf(cause) === 'ENOENT') return undefined
    const denied = systemCodeOf(cause) === 'EACCES' && !process.env.NOTIFY_SOCKET
    const remedy = denied
      ? 'run it with sudo, or as the user that the relay runs as'
      : 'give the file to the user that runs the relay'
    throw new CulvertError('identity-unreadable', `${path} cannot be read (${reasonOf(cause)}); ${remedy}`, { cause })
  }
}
