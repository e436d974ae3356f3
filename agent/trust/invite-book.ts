import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import * as z from 'zod/mini'
import { CulvertError, reasonOf, systemCodeOf } from '../../common/errors.ts'
import { makeDirectory, writeFileAtomic } from '../../common/platform/atomic-file.ts'
import type { Clock } from '../../common/platform/clock.ts'
import type { Log } from '../../common/platform/log.ts'
import { base32Decode, base32Encode, isBase32 } from '../../common/wire/base32.ts'
import { isName } from '../../common/wire/name.ts'
import { type PeerId, parsePeerId } from '../../common/wire/peer-id.ts'
import type { Guest } from '../../common/wire/relay-message.ts'
import {
  type GuestStanding,
  guestsOf,
  type Invite,
  type InviteVerdict,
  isOpen,
  judgeInvite,
  MAX_INVITES,
  MAX_OPEN_INVITES,
  tidyInvites,
} from './invites.ts'
import { INVITES_FILE } from './network-store.ts'

/** The largest that we write is smaller than half of this. */
const MAX_FILE_BYTES = 1024 * 1024

const peerId = z.pipe(
  z.string().check(z.refine(text => parsePeerId(text) !== undefined)),
  z.transform(text => text as PeerId),
)
const name = z.string().check(z.refine(isName))
const seconds = z.int().check(z.gte(0))
const schema = z.object({
  version: z.literal(1),
  invites: z
    .array(
      z.object({
        guest: peerId,
        lanKey: z.pipe(
          z.string().check(z.refine(isBase32), z.maxLength(64)),
          z.transform(text => base32Decode(text)),
        ),
        name: z.optional(name),
        roles: z.array(name).check(z.maxLength(16)),
        createdAt: seconds,
        expiresAt: seconds,
        usedBy: z.optional(peerId),
      }),
    )
    .check(z.maxLength(MAX_INVITES)),
})

export interface InviteBookOptions {
  /** Of the network. */
  readonly directory: string
  readonly clock: Pick<Clock, 'wallNow'>
  readonly log: Log
  /** The guests that may call are others now. */
  readonly onChange: () => void
}

/** The invitations of this device, on disk before anybody hears of a change. */
export class InviteBook {
  readonly #options: InviteBookOptions
  #invites: readonly Invite[]
  #writing: Promise<void> = Promise.resolve()

  private constructor(options: InviteBookOptions, invites: readonly Invite[]) {
    this.#options = options
    this.#invites = invites
  }

  /** A damaged file costs the codes that were given out and not used: they are unknown then. */
  static async open(options: InviteBookOptions): Promise<InviteBook> {
    const path = join(options.directory, INVITES_FILE)
    let invites: readonly Invite[] | undefined = []
    try {
      invites = decodeInvites(await readFile(path, 'utf8'))
      if (!invites) options.log.warn(`${path} was damaged; invitations that were not used yet are void`)
    } catch (thrown) {
      if (systemCodeOf(thrown) !== 'ENOENT') options.log.warn(`cannot read ${path}`, { reason: reasonOf(thrown) })
    }
    return new InviteBook(options, invites ?? [])
  }

  /** Whether this key is a guest's that gets an answer, be it a refusal. */
  knows(guest: PeerId): boolean {
    return this.#find(guest) !== undefined
  }

  /** Those that relays have to let in: who may come, and, as far as there is room, who is to hear why not. */
  guests(): readonly Guest[] {
    return guestsOf(this.#invites, this.#now())
  }

  /** Of those that are open, the newest first. */
  lanKeys(): readonly Uint8Array[] {
    const now = this.#now()
    return this.#invites
      .filter(invite => isOpen(invite, now))
      .map(({ lanKey }) => lanKey)
      .toReversed()
  }

  judge(guest: PeerId, peer: PeerId, standing: GuestStanding): InviteVerdict {
    return judgeInvite(this.#find(guest), peer, this.#now(), standing)
  }

  find(guest: PeerId): Invite | undefined {
    return this.#find(guest)
  }

  async add(invite: Omit<Invite, 'createdAt' | 'usedBy'>): Promise<Invite> {
    const now = this.#now()
    if (this.#invites.filter(other => isOpen(other, now)).length >= MAX_OPEN_INVITES) {
      const message = `there are ${MAX_OPEN_INVITES} open invitations already; wait until some are used or expired`
      throw new CulvertError('over-quota', message)
    }
    const made = { ...invite, createdAt: now, usedBy: undefined }
    await this.#write(invites => [...invites, made])
    return made
  }

  /** From now on it is this device's, and nobody else's; resolves when that outlasts a power cut. */
  async use(guest: PeerId, peer: PeerId): Promise<void> {
    await this.#write(invites =>
      invites.map(invite =>
        invite.guest === guest && invite.usedBy === undefined ? { ...invite, usedBy: peer } : invite,
      ),
    )
  }

  /** In memory at once, so that nobody comes in between. */
  async #write(change: (invites: readonly Invite[]) => readonly Invite[]): Promise<void> {
    const { directory, onChange } = this.#options
    const before = this.#invites
    this.#invites = tidyInvites(change(before), this.#now())
    const path = join(directory, INVITES_FILE)
    const written = this.#writing.then(async () => {
      await makeDirectory(dirname(path), 0o700)
      await writeFileAtomic(path, encodeInvites(this.#invites), 0o600)
    })
    this.#writing = written.catch(() => undefined)
    try {
      await written
    } catch (thrown) {
      throw new CulvertError('io', `cannot write ${path}: ${reasonOf(thrown)}`, { cause: thrown })
    }
    onChange()
  }

  #find(guest: PeerId): Invite | undefined {
    return this.#invites.find(invite => invite.guest === guest)
  }

  #now(): number {
    return Math.floor(this.#options.clock.wallNow() / 1000)
  }
}

export function encodeInvites(invites: readonly Invite[]): string {
  const written = invites.map(invite => ({ ...invite, lanKey: base32Encode(invite.lanKey) }))
  return `${JSON.stringify({ version: 1, invites: written })}\n`
}

/** What the text of a file holds, or undefined when it is damaged. */
export function decodeInvites(text: string): readonly Invite[] | undefined {
  if (text.length > MAX_FILE_BYTES) return undefined
  try {
    const { invites } = schema.parse(JSON.parse(text))
    return invites.map(({ name, usedBy, ...invite }) => ({ ...invite, name, usedBy }))
  } catch {
    return undefined
  }
}
