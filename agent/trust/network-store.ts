import { link, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { asCulvertError, CulvertError, reasonOf, systemCodeOf } from '../../common/errors.ts'
import { makeDirectory, removeLeftBehind, syncDirectory, writeFileAtomic } from '../../common/platform/atomic-file.ts'
import type { Clock, Timer } from '../../common/platform/clock.ts'
import { generateKeyPair, type KeyPair } from '../../common/platform/ed25519.ts'
import type { Log } from '../../common/platform/log.ts'
import type { Statement } from '../../common/wire/member-statement.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { createFile } from '../identity/create-file.ts'
import { deriveSecret } from '../identity/derive-secret.ts'
import { decodeKeyFile, encodeKeyFile, ROOT_KEY_HEAD } from '../identity/key-file.ts'
import { openStateFile, readAtMost } from '../identity/state-file.ts'
import { decodeNetworkFile, encodeNetworkFile, type NetworkKeys } from './network-file.ts'
import type { Kept } from './register.ts'
import { decodeRosterFile, encodeRosterFile } from './roster-file.ts'

const DIRECTORY = 'network'
/** There is a network when this file is there, so it is written last. */
const KEYS_FILE = 'keys'
/** The same again: it never changes, and without it the device is out of its network. */
const KEYS_COPY = 'keys.copy'
const ROSTER_FILE = 'roster'
export const INVITES_FILE = 'invites.json'
/** The roster before the last change: what the new one has lost may be in it. */
const ROSTER_BEFORE = 'roster.before'
/** Beside `identity.key`: whoever has it is the network. */
export const ROOT_KEY_FILE = 'network.key'
/** Twice the largest roster. */
const MAX_ROSTER_BYTES = 64 * 2 ** 20
const MAX_KEYS_BYTES = 4096
/** What comes in one exchange is written together. */
const SAVE_AFTER_MS = 500
/** SD cards wear out by writing: a roster that grows by one is written as a whole. */
const BYTES_PER_MS = 50

/** What a state directory tells of the network that this device belongs to. */
export interface StoredNetwork extends NetworkKeys {
  readonly statements: readonly Kept[]
  /** Where this device may speak for the network itself. */
  readonly root: KeyPair | undefined
  /** The roster was damaged, and what could be saved was; undefined for a sound one. */
  readonly damage: string | undefined
}

/** Where a network is kept, and whose key vouches for what is read back. */
export interface NetworkPlace {
  readonly stateDir: string
  readonly identity: KeyPair
}

/** The network of a state directory; undefined where there is none. A damaged roster gives what is left of it. */
export async function readNetwork({ stateDir, identity }: NetworkPlace, log: Log): Promise<StoredNetwork | undefined> {
  const directory = join(stateDir, DIRECTORY)
  const keys = await readKeys(directory, log)
  if (!keys) return undefined
  const { statements, damage } = await readRoster(directory, identity, keys.network)
  if (damage !== undefined) log.error(damage)
  const root = await readRootKey(stateDir)
  if (root && root.id !== keys.network) {
    log.warn(
      `${join(stateDir, ROOT_KEY_FILE)} is the key of another network than the one this device belongs to: it is of no use here; keep it safe elsewhere`,
    )
  }
  return { ...keys, statements, root: root?.id === keys.network ? root : undefined, damage }
}

/** The key that makes a network: made, or one that an interrupted try has left. */
export async function loadOrCreateRootKey(stateDir: string): Promise<KeyPair> {
  const path = join(stateDir, ROOT_KEY_FILE)
  await createFile(path, encodeKeyFile(generateKeyPair(), ROOT_KEY_HEAD), 0o600)
  const key = await readRootKey(stateDir)
  if (!key) throw new CulvertError('io', `${path} went away while it was made`)
  return key
}

/** Writes a network that this device did not have before. Rejects with `usage` when it has one. */
export async function keepNewNetwork(
  place: NetworkPlace,
  keys: NetworkKeys,
  statements: Iterable<Statement>,
): Promise<void> {
  const directory = join(place.stateDir, DIRECTORY)
  const path = join(directory, KEYS_FILE)
  if (await readIfThere(path, MAX_KEYS_BYTES)) throw hasOne(path)
  await makeDirectory(directory, 0o700)
  await writeFileAtomic(join(directory, ROSTER_FILE), encodeRosterFile(statements, rosterSecret(place.identity)), 0o600)
  await writeFileAtomic(join(directory, KEYS_COPY), encodeNetworkFile(keys), 0o600)
  if (!(await createFile(path, encodeNetworkFile(keys), 0o600))) throw hasOne(path)
}

/** This device is in no network any more; what is left of its roster is of no use, and in nobody's way. */
export async function forgetNetwork({ stateDir }: NetworkPlace): Promise<void> {
  const directory = join(stateDir, DIRECTORY)
  await rm(join(directory, KEYS_FILE), { force: true })
  await syncDirectory(directory)
}

/** Removes what writers that were killed have left. */
export async function tidyNetwork(stateDir: string, clock: Pick<Clock, 'wallNow'>): Promise<void> {
  try {
    await removeLeftBehind(
      join(stateDir, DIRECTORY),
      [KEYS_FILE, KEYS_COPY, ROSTER_FILE, INVITES_FILE],
      clock.wallNow(),
    )
  } catch (thrown) {
    if (systemCodeOf(thrown) !== 'ENOENT') throw thrown
  }
}

/** Keeps a roster on disk as it changes: soon, a large one seldom, and whole at the end. */
export class RosterKeeper {
  readonly #path: string
  readonly #before: string
  readonly #secret: Uint8Array
  readonly #clock: Clock
  readonly #log: Log
  readonly #statements: () => Iterable<Statement>
  #timer: Timer | undefined
  #dirty = false
  #retired = false
  #lastBytes = 0
  #savedAt = Number.NEGATIVE_INFINITY
  #saving = Promise.resolve()
  #problem: string | undefined

  constructor(
    place: NetworkPlace,
    context: { readonly clock: Clock; readonly log: Log; readonly statements: () => Iterable<Statement> },
  ) {
    this.#path = join(place.stateDir, DIRECTORY, ROSTER_FILE)
    this.#before = join(place.stateDir, DIRECTORY, ROSTER_BEFORE)
    this.#secret = rosterSecret(place.identity)
    this.#clock = context.clock
    this.#log = context.log
    this.#statements = context.statements
  }

  /** Why the last change is not on the disk. */
  get problem(): string | undefined {
    return this.#problem
  }

  /** Another roster takes the place of this one. */
  async retire(): Promise<void> {
    this.#retired = true
    await this.save()
  }

  changed(): void {
    if (this.#retired) return
    this.#dirty = true
    const due = this.#savedAt + this.#lastBytes / BYTES_PER_MS - this.#clock.now()
    this.#timer ??= this.#clock.after(Math.max(SAVE_AFTER_MS, due), () => void this.save())
  }

  /** Resolves when all that was merged before is on the disk, or could not be written, which is logged. */
  save(): Promise<void> {
    this.#saving = this.#saving.then(() => this.#write())
    return this.#saving
  }

  async #write(): Promise<void> {
    this.#timer?.cancel()
    this.#timer = undefined
    if (!this.#dirty) return
    this.#dirty = false
    const bytes = encodeRosterFile(this.#statements(), this.#secret)
    this.#lastBytes = bytes.length
    this.#savedAt = this.#clock.now()
    try {
      await this.#keepBefore()
      await writeFileAtomic(this.#path, bytes, 0o600)
      this.#problem = undefined
    } catch (thrown) {
      // The next save tries again; no timer, for a full disk stays full.
      this.#dirty = true
      this.#problem = `cannot write ${this.#path}: ${reasonOf(thrown)}`
      this.#log.warn(this.#problem)
    }
  }

  async #keepBefore(): Promise<void> {
    try {
      await rm(this.#before, { force: true })
      await link(this.#path, this.#before)
    } catch {
      // None is there yet, or the file system has no links: it is a help, and no need.
    }
  }
}

async function readRoster(directory: string, identity: KeyPair, network: PeerId) {
  const read = async (file: string) => {
    const bytes = (await readIfThere(join(directory, file), MAX_ROSTER_BYTES)) ?? Buffer.alloc(0)
    const { statements, damage } = decodeRosterFile(bytes, rosterSecret(identity))
    // What is of another network was left there before this one: the keys are what counts, and they are written last.
    return { statements: statements.filter(({ entry }) => entry.network === network), damage }
  }
  const { statements, damage } = await read(ROSTER_FILE)
  if (!damage) return { statements, damage: undefined }
  const before = (await read(ROSTER_BEFORE)).statements
  const saved = [...new Map([...statements, ...before].map(kept => [kept.id, kept])).values()]
  return { statements: saved, damage: damageOf(join(directory, ROSTER_FILE), saved.length, damage.missing) }
}

async function readKeys(directory: string, log: Log): Promise<NetworkKeys | undefined> {
  const path = join(directory, KEYS_FILE)
  const text = await readIfThere(path, MAX_KEYS_BYTES)
  if (!text) return undefined
  const keys = decodeNetworkFile(text.toString('utf8'))
  if (keys) return keys
  const copy = (await readIfThere(join(directory, KEYS_COPY), MAX_KEYS_BYTES))?.toString('utf8') ?? ''
  const saved = decodeNetworkFile(copy)
  if (!saved) {
    const remedy = `put back a good copy of it, or remove ${directory} and join the network again`
    throw new CulvertError('io', `${path}, which names this device's network, was damaged; ${remedy}`)
  }
  log.warn(`${path} was damaged; it is restored from its copy`)
  await writeFileAtomic(path, copy, 0o600)
  return saved
}

async function readRootKey(stateDir: string): Promise<KeyPair | undefined> {
  const path = join(stateDir, ROOT_KEY_FILE)
  const text = await readIfThere(path, MAX_KEYS_BYTES)
  if (!text) return undefined
  const key = decodeKeyFile(text.toString('utf8'), ROOT_KEY_HEAD)
  if (typeof key !== 'string') return key
  throw new CulvertError('identity-unreadable', `the key of the network, ${path}, ${key}; put back a good copy of it`)
}

async function readIfThere(path: string, maxBytes: number): Promise<Buffer | undefined> {
  try {
    await using file = await openStateFile(path)
    const bytes = await readAtMost(file, maxBytes)
    if (!bytes) throw new CulvertError('io', `${path} is too large (more than ${maxBytes} bytes)`)
    return bytes
  } catch (thrown) {
    if (systemCodeOf(thrown) === 'ENOENT') return undefined
    throw asCulvertError(thrown, 'io', `cannot read ${path}`)
  }
}

function rosterSecret(identity: KeyPair): Uint8Array {
  return deriveSecret(identity, 'roster file')
}

function damageOf(path: string, saved: number, missing: number | undefined): string {
  const of = missing === undefined ? '' : ` of ${saved + missing}`
  return `${path} was damaged: ${saved}${of} entries could be saved; other members bring back the rest`
}

function hasOne(path: string): CulvertError {
  return new CulvertError('usage', `this device belongs to a network already (${path}); one at a time`)
}
