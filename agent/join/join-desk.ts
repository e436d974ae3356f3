import { asCulvertError, CulvertError } from '../../common/errors.ts'
import type { Clock } from '../../common/platform/clock.ts'
import { verifyBytes } from '../../common/platform/ed25519.ts'
import { createRateGate, type Log } from '../../common/platform/log.ts'
import {
  decodeJoinRequest,
  encodeJoinAnswer,
  type JoinAnswer,
  type JoinRefusal,
  type JoinRequest,
  joinProof,
  MAX_JOIN_REQUEST_BYTES,
  MAX_JOIN_STATEMENTS,
} from '../../common/wire/join-message.ts'
import { encodeStatement } from '../../common/wire/member-statement.ts'
import { type PeerId, shortPeerId } from '../../common/wire/peer-id.ts'
import type { Sealer } from '../path/seal.ts'
import type { IncomingCall } from '../rendezvous/rendezvous.ts'
import type { HomeNetwork } from '../trust/home-network.ts'
import type { InviteBook } from '../trust/invite-book.ts'
import type { GuestStanding, Invite } from '../trust/invites.ts'
import { freeName } from '../trust/member-names.ts'
import type { Network } from '../trust/network.ts'
import { formatDate } from './join-errors.ts'
import { JOIN_MS, type JoinLine, joinExporter, readMessage, sendMessage } from './join-stream.ts'

/** Guests that are served at a time; each code makes one guest, who comes over a few ways at once. */
const MAX_GUESTS = 8
const MAX_LINES_PER_GUEST = 4
/** Lines beyond those, on which a guest hears that there is no place just now. */
const MAX_FULL_LINES = 8
/** What is on its way to a guest gets this long; then he has it or comes again. */
const FAREWELL_MS = 5_000

export interface JoinDeskOptions {
  /** Who is called that may do something here, or is somebody already: nobody gets the name by choosing it himself. */
  readonly isTaken: (name: string, by: PeerId) => boolean
  readonly ownId: PeerId
  readonly sealer: Sealer
  readonly clock: Clock
  readonly log: Log
  readonly invites: InviteBook
  readonly home: HomeNetwork
  readonly signal: AbortSignal
}

/** Where guests come to: who proves the secret of an invitation and an identity becomes a member, once. */
export class JoinDesk {
  readonly #options: JoinDeskOptions
  readonly #lines = new Map<PeerId, number>()
  #fullLines = 0
  readonly #mayLog: (key: string) => boolean

  constructor(options: JoinDeskOptions) {
    this.#options = options
    this.#mayLog = createRateGate(options.clock, 60_000)
  }

  /** A guest rings at a relay. */
  async answer(call: IncomingCall): Promise<void> {
    const { sealer, signal } = this.#options
    await this.#guarded(
      call.from,
      async () => {
        const { socket } = await call.attach(signal)
        const { stream } = await sealer.seal(socket, {
          role: 'server',
          expected: call.from,
          accept: () => true,
          signal,
        })
        await this.#serve({ peer: call.from, stream })
      },
      () => call.refuse('busy'),
    )
  }

  /** A guest came over a path of its own. */
  async serve(line: JoinLine): Promise<void> {
    await this.#guarded(
      line.peer,
      () => this.#serve(line),
      () => void this.#sayFull(line),
    )
  }

  /** So that he comes again, and does not take the code for one that is unknown here. */
  async #sayFull({ stream }: JoinLine): Promise<void> {
    if (this.#fullLines < MAX_FULL_LINES) {
      this.#fullLines++
      await this.#within(FAREWELL_MS, stream, () => farewell(stream, FULL))
      this.#fullLines--
    } else stream.destroy()
  }

  async #guarded(guest: PeerId, run: () => Promise<void>, refuse: () => void): Promise<void> {
    const lines = this.#lines.get(guest) ?? 0
    if (lines >= MAX_LINES_PER_GUEST || (lines === 0 && this.#lines.size >= MAX_GUESTS)) {
      refuse()
      return
    }
    this.#lines.set(guest, lines + 1)
    try {
      await run()
    } catch (thrown) {
      const { message } = asCulvertError(thrown, 'peer-unreachable', 'a guest')
      if (this.#mayLog(guest))
        this.#options.log.warn('a guest did not get in', { guest: shortPeerId(guest), reason: message })
    } finally {
      const left = (this.#lines.get(guest) ?? 1) - 1
      if (left > 0) this.#lines.set(guest, left)
      else this.#lines.delete(guest)
    }
  }

  async #serve({ peer: guest, stream }: JoinLine): Promise<void> {
    const { clock, signal } = this.#options
    await this.#within(JOIN_MS + FAREWELL_MS, stream, async () => {
      const exporter = joinExporter(stream)
      const request = decodeJoinRequest(await readMessage(stream, MAX_JOIN_REQUEST_BYTES, { clock, signal }))
      await farewell(stream, await this.#judge(guest, request, exporter))
    })
  }

  /** Ends the stream when this is done, or takes longer, or the desk closes. */
  async #within(limitMs: number, stream: JoinLine['stream'], run: () => Promise<void>): Promise<void> {
    const { clock, signal } = this.#options
    const stop = () => stream.destroy()
    signal.addEventListener('abort', stop, { once: true })
    const late = clock.after(limitMs, stop)
    try {
      await run()
    } finally {
      late.cancel()
      signal.removeEventListener('abort', stop)
      stream.destroy()
    }
  }

  async #judge(guest: PeerId, request: JoinRequest, exporter: Uint8Array): Promise<JoinAnswer> {
    const { ownId, invites, home, log, isTaken } = this.#options
    const network = home.current
    const invite = invites.find(guest)
    if (!network?.isAdmin || !invite) return refused('not-admin')
    const { peer } = request
    const proof = joinProof({ network: network.id, inviter: ownId, guest, peer, exporter })
    if (!verifyBytes(peer, proof, request.signature)) return refused('proof')
    const removedAt = network.removedAt(peer)
    if (removedAt !== undefined && !network.isRoot) return { admitted: false, refusal: 'removed', words: ROOT_ALONE }
    // A code that lay about when it was removed is not meant for it.
    if (removedAt !== undefined && invite.createdAt <= removedAt) return refused('removed')
    const verdict = invites.judge(guest, peer, standingOf(peer, network))
    if (verdict === 'used' || verdict === 'expired') return refused(verdict, invite)
    if (verdict === 'clock' || verdict === 'unknown') return refused('later')
    try {
      // A member that asks whether it is one uses nothing up.
      if (verdict === 'open' && !network.isMember(peer)) await invites.use(guest, peer)
      const name =
        invite.name ?? freeName(request.name, peer, wished => network.hasNamed(wished, peer) || isTaken(wished, peer))
      if (!network.isMember(peer)) {
        network.admit({ peer, name, roles: invite.roles, notAfter: 0 })
        log.info('a device joined the network', { id: peer, name, guest: shortPeerId(guest) })
      }
      await home.save()
      return { admitted: true, secret: network.secret, statements: statementsFor(peer, network) }
    } catch (thrown) {
      // The invitation is this device's by now: it gets in when it comes again.
      log.error('a device could not be taken in', {
        id: peer,
        reason: asCulvertError(thrown, 'io', 'the disk').message,
      })
      return refused('later')
    }
  }
}

/** Says the last word; resolves when the stream is closed. */
async function farewell(stream: JoinLine['stream'], answer: JoinAnswer): Promise<void> {
  const closed = new Promise<void>(resolve => stream.once('close', resolve))
  sendMessage(stream, encodeJoinAnswer(answer))
  stream.end()
  stream.resume()
  if (!stream.destroyed) await closed
}

function standingOf(peer: PeerId, network: Network): GuestStanding {
  if (network.isMember(peer)) return 'member'
  return network.hasEnded(peer) || network.wasRemoved(peer) ? 'ended' : 'none'
}

/** What proves that this peer is a member, then others, as far as they fit: the rest comes as to all members. */
function statementsFor(peer: PeerId, network: Network): readonly Uint8Array[] {
  const all = [...network.roster.statements()]
  const own = all.filter(({ entry }) => entry.peer === peer)
  const kept = [...new Set([...own.flatMap(statement => network.chainOf(statement)), ...all])]
  return kept.slice(0, MAX_JOIN_STATEMENTS).map(statement => new Uint8Array(encodeStatement(statement)))
}

const WORDS: Readonly<Record<JoinRefusal, string>> = {
  used: 'another device has used this join code already, and each is good for one',
  expired: 'this join code has expired',
  'not-admin': 'who made this join code may not let devices into the network any more',
  removed: 'this device was removed from the network after this join code was made',
  proof: 'this device could not prove its identity',
  later: 'the device that made this join code cannot take anybody in just now (its clock or its disk)',
}

const ROOT_ALONE =
  'this device was removed from the network, and only a device with the network key, as its founder has it, takes it in again'

const FULL: JoinAnswer = {
  admitted: false,
  refusal: 'later',
  words: 'the device that made this join code is taking in others just now; try again in a minute',
}

function refused(refusal: JoinRefusal, invite?: Invite): JoinAnswer {
  const at = refusal === 'expired' && invite ? ` on ${formatDate(invite.expiresAt)}` : ''
  return { admitted: false, refusal, words: WORDS[refusal] + at }
}

/** Whether a refusal may be another one when the guest comes again. */
export function isForNow(refusal: JoinRefusal): boolean {
  return refusal === 'later'
}

export function refusalError(refusal: JoinRefusal, words: string): CulvertError {
  return isForNow(refusal)
    ? new CulvertError('busy', words)
    : new CulvertError('invite-refused', `${words}; ask ${words === ROOT_ALONE ? 'there' : 'for a new one'}`)
}
