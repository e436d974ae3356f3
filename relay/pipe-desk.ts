import type { Socket } from 'node:net'
import type { Clock, Timer } from '../common/platform/clock.ts'
import { holdReading } from '../common/platform/fast-read.ts'
import type { Log } from '../common/platform/log.ts'
import type { Random } from '../common/platform/random.ts'
import { type PeerId, shortPeerId } from '../common/wire/peer-id.ts'
import type { Counters } from './counters.ts'
import { type OpenResult, type Pipe, type PipeLimits, PipeTable, type Ring } from './pipes.ts'
import { type Splice, type SpliceMode, splice } from './splice.ts'
import type { Traffic } from './traffic.ts'

/** An end of a pipe that attached: its socket, and what was read behind the HTTP request. */
export interface AttachedEnd {
  readonly socket: Socket
  readonly early: Buffer
}

export interface PipeDeskParts {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly counters: Counters
  readonly traffic: Traffic
  readonly limits: () => PipeLimits
  /** Who pays for what a peer sends; mostly it itself. */
  readonly payerOf: (peer: PeerId) => PeerId
  /** The address that pays for what comes from it, beside the peer; undefined = none does. */
  readonly payingAddress: (address: string) => string | undefined
  readonly mode: SpliceMode
}

/**
 * Checks in a row at which nothing has passed. Peers ping a path that nobody uses every 25 s, so one on which not even
 * that is heard has lost both its ends, without a word, and would count towards their quotas for as long as the relay runs.
 */
const MAX_SILENT_CHECKS = 3

/** Sent at once, before the other side is there, so that a peer's first bytes are on their way early. */
const ATTACHED = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: culvert-pipe\r\n\r\n'

/** Gives out tickets, takes attached sockets, joins them, and ends what is out of time. */
export class PipeDesk {
  readonly #parts: PipeDeskParts
  readonly #table: PipeTable<AttachedEnd>
  /** Oldest first. */
  readonly #splices = new Map<Splice, Pipe<AttachedEnd>>()
  /** What had passed at the last check, and for how many checks that has not changed. */
  readonly #silent = new WeakMap<Splice, { readonly bytes: number; readonly checks: number }>()
  #expiry: Timer | undefined
  #whenEmpty: (() => void) | undefined

  constructor(parts: PipeDeskParts) {
    this.#parts = parts
    this.#table = new PipeTable(parts.random, parts.limits)
  }

  /** Pipes that wait or carry bytes. */
  get size(): number {
    return this.#table.size
  }

  get joined(): number {
    return this.#splices.size
  }

  open(caller: PeerId, callee: PeerId, call: number): OpenResult<AttachedEnd> {
    const over = this.#parts.traffic.refusal(this.#parts.payerOf(caller))
    if (over !== undefined) return { failure: 'over-quota', why: over }
    const { clock, limits } = this.#parts
    let result = this.#table.open(caller, callee, call, clock.now())
    if ('failure' in result && this.#table.size < limits().pipes) {
      // Of the two it is the caller whose quota this is.
      const [full, newer] = result.failure === 'over-quota' ? [caller, callee] : [callee, caller]
      if (this.#giveWay(full, newer)) result = this.#table.open(caller, callee, call, clock.now())
    }
    if ('pipe' in result) this.#expiry ??= clock.after(limits().ticketLifeMs, () => this.#expire())
    return result
  }

  /** False when the ticket is unknown, used or too old; the socket is then still the caller's to close. */
  attach(ticket: string, socket: Socket, early: Buffer): boolean {
    const result = this.#table.attach(ticket, { socket, early }, this.#parts.clock.now())
    if (result.name === 'unknown') return false
    holdReading(socket)
    socket.write(ATTACHED)
    if (result.name === 'joined') this.#join(result.pipe, result.caller, result.callee)
    return true
  }

  /** What this peer was rung for and has not taken up. */
  unanswered(callee: PeerId): readonly Ring[] {
    return this.#table.unanswered(callee)
  }

  /** Called every `pipeCheckMs`. Checks are counted, not time, so that a relay that was suspended cuts nothing. */
  checkAlive(): void {
    for (const joined of [...this.#splices.keys()]) {
      const bytes = joined.bytes()
      const before = this.#silent.get(joined)
      const checks = before?.bytes === bytes ? before.checks + 1 : 0
      this.#silent.set(joined, { bytes, checks })
      if (checks >= MAX_SILENT_CHECKS) joined.cut('nothing passed for long')
    }
  }

  /** Ends all pipes of a peer that has no business here any more. */
  cutAll(peer: PeerId, why: string): void {
    const isIts = ({ caller, callee }: Pipe<AttachedEnd>) => caller === peer || callee === peer
    for (const pipe of this.#table.waitingPipes()) if (isIts(pipe)) this.#close(pipe)
    for (const [joined, pipe] of [...this.#splices]) if (isIts(pipe)) joined.cut(why)
  }

  /** The pipe that `by` refused, with its caller still to be told; undefined for a ticket that is not his. */
  refuse(ticket: Uint8Array, by: PeerId): Pipe<AttachedEnd> | undefined {
    const pipe = this.#table.refuse(ticket, by)
    if (pipe) this.#close(pipe)
    return pipe
  }

  /** Closes what waits, gives what is joined `graceMs`, then cuts it. */
  async drain(graceMs: number): Promise<void> {
    for (const pipe of this.#table.waitingPipes()) this.#close(pipe)
    if (this.#splices.size > 0) {
      await new Promise<void>(resolve => {
        const timer = this.#parts.clock.after(graceMs, resolve)
        this.#whenEmpty = () => {
          timer.cancel()
          resolve()
        }
      })
    }
    this.#expiry?.cancel()
    for (const joined of this.#splices.keys()) joined.cut('relay goes down')
  }

  #join(pipe: Pipe<AttachedEnd>, caller: AttachedEnd, callee: AttachedEnd): void {
    const { log, counters, traffic, mode, clock, payerOf, payingAddress } = this.#parts
    const fields = { from: shortPeerId(pipe.caller), to: shortPeerId(pipe.callee) }
    const endOf = (end: AttachedEnd, peer: PeerId) => ({
      socket: end.socket,
      early: end.early,
      meter: (events: Parameters<Traffic['meter']>[1]) =>
        traffic.meter(
          payerOf(peer),
          {
            resume: events.resume,
            over: why => {
              counters.refuse('pipe-over-quota')
              log.warn('pipe ended: over quota', { ...fields, why })
              events.over(why)
            },
          },
          payingAddress(end.socket.remoteAddress ?? ''),
        ),
    })
    counters.pipesJoined++
    const joinedAt = clock.now()
    const joined = splice(endOf(caller, pipe.caller), endOf(callee, pipe.callee), mode, outcome => {
      this.#splices.delete(joined)
      this.#table.close(pipe)
      log.debug('pipe closed', {
        ...fields,
        why: outcome.reason,
        bytesFromCaller: outcome.bytesFromA,
        bytesFromCallee: outcome.bytesFromB,
        seconds: Math.round((clock.now() - joinedAt) / 1000),
      })
      if (this.#splices.size === 0) this.#whenEmpty?.()
    })
    this.#splices.set(joined, pipe)
    log.debug('pipe joined', { ...fields, mode: joined.mode })
  }

  /**
   * Makes room for `newer` at a device that has none. Two devices that both move to other networks leave pipes behind, of
   * which no end tells the relay; and one that makes more and more of them must not keep the others out. So the oldest
   * goes of the peer that has most pipes to it: `newer` itself, if need be its only one, or another one that keeps one.
   */
  #giveWay(full: PeerId, newer: PeerId): boolean {
    const byPeer = new Map<PeerId, Splice[]>()
    for (const [joined, { caller, callee }] of this.#splices) {
      if (caller !== full && callee !== full) continue
      const peer = caller === full ? callee : caller
      const splices = byPeer.get(peer)
      if (splices) splices.push(joined)
      else byPeer.set(peer, [joined])
    }
    let most = byPeer.get(newer) ?? []
    for (const splices of byPeer.values()) if (splices.length > Math.max(most.length, 1)) most = splices
    const [oldest] = most
    const pipe = oldest && this.#splices.get(oldest)
    if (!pipe) return false
    this.#splices.delete(oldest)
    oldest.cut('a newer one had no room left')
    this.#table.close(pipe)
    return true
  }

  #expire(): void {
    const { clock, counters, log } = this.#parts
    for (const pipe of this.#table.expired(clock.now())) {
      counters.refuse('ticket-expired')
      log.debug('pipe not attached in time', { from: shortPeerId(pipe.caller), to: shortPeerId(pipe.callee) })
      this.#close(pipe)
    }
    const until = this.#table.nextExpiry()
    // One millisecond more: a timer may fire a fraction early, and would then find nothing to do.
    this.#expiry =
      until === undefined ? undefined : clock.after(Math.max(1, until - clock.now() + 1), () => this.#expire())
  }

  #close(pipe: Pipe<AttachedEnd>): void {
    for (const end of this.#table.close(pipe)) end.socket.destroy()
  }
}
