import { CulvertError } from '../../common/errors.ts'
import { type Clock, pause } from '../../common/platform/clock.ts'
import type { KeyPair } from '../../common/platform/ed25519.ts'
import { openLinkSocket } from '../../common/platform/link-socket.ts'
import type { Log } from '../../common/platform/log.ts'
import { listInterfaceAddresses, listLinkLocalAddresses } from '../../common/platform/network-interfaces.ts'
import type { Random } from '../../common/platform/random.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import {
  decodeInvite,
  encodeInvite,
  INVITE_SECRET_BYTES,
  type InviteCode,
  type InviteRelay,
} from '../../common/wire/invite-code.ts'
import { ADMIN_ROLE } from '../../common/wire/member-details.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import type { Guest } from '../../common/wire/relay-message.ts'
import type { Path } from '../path/path.ts'
import type { Sealer } from '../path/seal.ts'
import { seekInviter } from '../rendezvous/lan/seek-inviter.ts'
import type { IncomingCall } from '../rendezvous/rendezvous.ts'
import type { HomeNetwork } from '../trust/home-network.ts'
import { InviteBook } from '../trust/invite-book.ts'
import { FIRST_SENSIBLE_S } from '../trust/known-time.ts'
import { memberNames } from '../trust/member-names.ts'
import type { Network } from '../trust/network.ts'
import { guestOf, lanKeyOf } from './guest-key.ts'
import { JoinDesk } from './join-desk.ts'
import { inAnother } from './join-errors.ts'
import { joinNetwork } from './join-network.ts'

export const MAX_INVITE_S = 30 * 86_400

/** What the device that is invited shall be. */
export interface InviteWish {
  /** Undefined: as it likes. */
  readonly name: string | undefined
  readonly roles: readonly string[]
  readonly forS: number
}

export interface InviteReply {
  readonly code: string
  readonly network: string
  readonly name: string | null
  readonly roles: readonly string[]
  /** ISO 8601. */
  readonly expiresAt: string
}

export interface JoinReply {
  readonly network: string
  /** This device's. */
  readonly id: string
  /** As the network calls it. */
  readonly name: string
  /** It was a member of this network before, and the inviter says so, too. */
  readonly already: boolean
}

export interface JoiningOptions {
  readonly stateDir: string
  readonly identity: KeyPair
  readonly sealer: Sealer
  readonly home: HomeNetwork
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly software: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** What stands in the config, now. */
  readonly relays: () => readonly InviteRelay[]
  readonly looksOnLan: () => boolean
  /** Where this device may be reached directly. */
  readonly endpoints: () => readonly Endpoint[]
  readonly addresses: () => readonly string[]
  /** What a guest may not call itself. */
  readonly isTaken: (name: string, by: PeerId) => boolean
  /** Guests are others, or there is a network: relays have to know, and who looks for us on the LAN. */
  readonly onChange: () => void
}

/** How devices get into the network of an agent that runs, and how it gets into one itself. */
export class Joining {
  readonly #options: JoiningOptions
  readonly #book: InviteBook
  readonly #desk: JoinDesk
  readonly #closing = new AbortController()
  #joining = false

  private constructor(options: JoiningOptions, book: InviteBook) {
    this.#options = options
    this.#book = book
    const { identity, sealer, clock, log, home, isTaken } = options
    this.#desk = new JoinDesk({
      ownId: identity.id,
      sealer,
      clock,
      log,
      home,
      isTaken,
      invites: book,
      signal: this.#closing.signal,
    })
  }

  static async open(options: JoiningOptions): Promise<Joining> {
    const { clock, log, onChange, stateDir } = options
    const book = await InviteBook.open({ directory: `${stateDir}/network`, clock, log, onChange })
    return new Joining(options, book)
  }

  /** Whether a key is a guest's, who gets an answer at the desk and nothing else. */
  isGuest(id: PeerId): boolean {
    return this.#book.knows(id)
  }

  guests(): readonly Guest[] {
    return this.#book.guests()
  }

  lanKeys(): readonly Uint8Array[] {
    return this.#book.lanKeys()
  }

  serve(path: Path): void {
    void this.#desk.serve(path)
  }

  answer(call: IncomingCall): void {
    void this.#desk.answer(call)
  }

  /** Makes a join code. Rejects with `usage` without a network, `not-authorized` without the right. */
  async invite({ name, roles, forS }: InviteWish): Promise<InviteReply> {
    const { identity, home, clock, random, relays, endpoints } = this.#options
    const network = home.current
    if (!network)
      throw new CulvertError('usage', 'this device is in no network; "culvert init" makes one with a device')
    refuseWish(network, name, roles)
    const now = Math.floor(clock.wallNow() / 1000)
    if (now < FIRST_SENSIBLE_S) {
      throw new CulvertError('busy', "this machine's clock is not set, so it cannot say until when a code is good")
    }
    // It takes back who was removed only when it is younger than that.
    if (network.removedIn(now)) await pause(clock, 1000, this.#closing.signal)
    const secret = random.bytes(INVITE_SECRET_BYTES)
    const expiresAt = now + forS
    await this.#book.add({ guest: guestOf(secret).id, lanKey: lanKeyOf(secret), name, roles, expiresAt })
    const code = encodeInvite({
      network: network.id,
      inviter: identity.id,
      secret,
      expiresAt,
      relays: relays(),
      endpoints: endpoints(),
    })
    const until = new Date(expiresAt * 1000).toISOString()
    return { code, network: network.id, name: name ?? null, roles, expiresAt: until }
  }

  /** Joins by a code, and is a member from then on. */
  async join(text: string, name: string, signal: AbortSignal): Promise<JoinReply> {
    const { identity, home, stateDir, clock, random, log, software, env, addresses, looksOnLan, onChange } =
      this.#options
    const code = decodeInvite(text)
    const present = home.current?.own === 'member' ? home.current : undefined
    // One that it is out of, or that it knows nothing of any more, is in nobody's way.
    if (present && present.id !== code.network) throw inAnother(present.id, stateDir)
    if (this.#joining) throw new CulvertError('busy', 'this device is joining a network just now')
    this.#joining = true
    try {
      const { secret, statements } = await joinNetwork({
        code,
        identity,
        name,
        clock,
        random,
        log,
        software,
        env,
        addresses,
        ...(looksOnLan() ? { seek: (found, stop) => this.#seek(code, found, stop) } : {}),
        signal: AbortSignal.any([signal, this.#closing.signal]),
      })
      // Whether it is a member is for the inviter to say: who let it in may have been removed, and so may itself.
      const before = present?.ownChain?.at(-1)?.id
      const network = present
        ? await home.renew(present, statements, code.inviter)
        : await home.join({ network: code.network, secret }, statements)
      const already = before !== undefined && network.ownChain?.at(-1)?.id === before
      if (!already) {
        log.info('joined a network', { network: code.network })
        onChange()
      }
      const names = memberNames(network.members(true), new Set())
      return { network: code.network, id: identity.id, name: names.get(identity.id) ?? name, already }
    } finally {
      this.#joining = false
    }
  }

  #seek({ secret, inviter }: InviteCode, found: (endpoint: Endpoint) => void, signal: AbortSignal): void {
    const { clock, random, log } = this.#options
    const doors = { interfaces: listInterfaceAddresses, linkLocal: listLinkLocalAddresses, openSocket: openLinkSocket }
    const known = { guest: guestOf(secret).id, lanKey: lanKeyOf(secret), inviter }
    seekInviter({ ...doors, ...known, clock, random, log }, found, signal)
  }

  close(): void {
    this.#closing.abort()
  }
}

function refuseWish(network: Network, name: string | undefined, roles: readonly string[]): void {
  if (!network.isAdmin) {
    throw new CulvertError('not-authorized', 'this device may not let others into the network; an admin of it can')
  }
  if (roles.includes(ADMIN_ROLE) && !network.isRoot) {
    throw new CulvertError('not-authorized', 'only a device with the network key can invite an admin')
  }
  if (name !== undefined && [...network.members(true)].some(member => member.name === name)) {
    throw new CulvertError('usage', `a member of the network is called "${name}" already; choose another name`)
  }
}
