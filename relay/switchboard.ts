import type { Clock } from '../common/platform/clock.ts'
import type { Log } from '../common/platform/log.ts'
import { sameBytes } from '../common/wire/bytes.ts'
import { type PeerId, shortPeerId } from '../common/wire/peer-id.ts'
import type { AgentMessage, CallFailure, RelayMessage } from '../common/wire/relay-message.ts'
import type { Counters, RefusalLabel } from './counters.ts'
import { Directory, type PresenceNotice } from './directory.ts'
import type { PipeDesk } from './pipe-desk.ts'
import { KeyedBuckets } from './quota.ts'

/** The line of one proven peer, as far as the switchboard needs it. */
export interface SwitchLine {
  readonly peer: PeerId | undefined
  readonly instance: Uint8Array | undefined
  tell(message: RelayMessage): void
  replacedBy(newer: this, sameInstance: boolean): void
}

/** A peer that dials a hundred others after a restart is normal; one that goes on like that is not. */
const CALL_LIMITS = { perSecond: 16, burst: 128 }
/** What a peer can be rung by one other, when the two watch each other. */
const FRIEND_RING_LIMITS = { perSecond: 4, burst: 64 }
/** What a peer can be rung by all others together: many strangers must not wake a small machine all the time. */
const STRANGER_RING_LIMITS = { perSecond: 1, burst: 8 }
const MAX_BUCKETS = 50_000

const FAILURE_LABELS: Readonly<Record<CallFailure, RefusalLabel>> = {
  offline: 'call-offline',
  refused: 'call-refused',
  busy: 'call-busy',
  'over-quota': 'call-over-quota',
}

/** What a line may do by the reason for which its peer was let in. */
export interface LineRights<L> {
  mayCall(caller: L, callee: L): boolean
  /** Of these, those that it may watch. */
  watchable(line: L, peers: readonly PeerId[]): readonly PeerId[]
  /** The callee expects the caller, as it does its friends. */
  isExpected(caller: L, callee: L): boolean
}

type Connected<L> =
  | { readonly callee: L; readonly callerTicket: Uint8Array; readonly calleeTicket: Uint8Array }
  | { readonly failure: CallFailure; readonly why: string }

/** What open lines ask for: presence and calls. `L` is the relay's line. */
export class Switchboard<L extends SwitchLine> {
  readonly directory = new Directory<L>()
  readonly #pipes: Pick<PipeDesk, 'open' | 'refuse' | 'unanswered'>
  readonly #clock: Clock
  readonly #log: Log
  readonly #counters: Counters
  readonly #rights: LineRights<L>
  readonly #calls = new KeyedBuckets(() => CALL_LIMITS, MAX_BUCKETS)
  readonly #friendRings = new KeyedBuckets(() => FRIEND_RING_LIMITS, MAX_BUCKETS)
  readonly #strangerRings = new KeyedBuckets(() => STRANGER_RING_LIMITS, MAX_BUCKETS)

  constructor(
    pipes: Pick<PipeDesk, 'open' | 'refuse' | 'unanswered'>,
    clock: Clock,
    log: Log,
    counters: Counters,
    rights: LineRights<L>,
  ) {
    this.#pipes = pipes
    this.#clock = clock
    this.#log = log
    this.#counters = counters
    this.#rights = rights
  }

  /** A line was opened. An older one of the same peer is told, and closed. */
  opened(line: L): void {
    const { peer, instance } = line
    if (peer === undefined || instance === undefined) return
    const older = this.directory.join(peer, line)
    // What rang on a line that was dead, and may have been for long, rings again on this one.
    for (const { caller, ticket } of this.#pipes.unanswered(peer)) line.tell({ type: 'ring', from: caller, ticket })
    if (older === undefined || older === line) return
    this.#counters.replaced++
    older.replacedBy(line, isSameProcess(older, instance))
    this.#notify(this.directory.cameAgain(peer))
  }

  /** The line of another process with this peer's key: it was first, and keeps its place while it lives. */
  rivalOf(peer: PeerId, instance: Uint8Array): L | undefined {
    const line = this.directory.get(peer)
    return line && !isSameProcess(line, instance) ? line : undefined
  }

  closed(line: L): void {
    if (line.peer !== undefined) this.#notify(this.directory.leave(line.peer, line))
  }

  received(line: L, message: Extract<AgentMessage, { readonly type: 'watch' | 'call' | 'refuse' }>): void {
    const peer = line.peer
    if (peer === undefined) return
    switch (message.type) {
      case 'watch':
        this.#notify(this.directory.watch(peer, line, this.#rights.watchable(line, message.peers)))
        break
      case 'call':
        this.#call(line, peer, message.call, message.to)
        break
      case 'refuse':
        this.#refuse(peer, message.ticket, message.reason)
        break
      default:
        message satisfies never
    }
  }

  #call(line: L, from: PeerId, call: number, to: PeerId): void {
    this.#counters.calls++
    const result = this.#connect(line, from, to, call)
    if ('failure' in result) {
      const { failure: reason, why } = result
      this.#counters.refuse(FAILURE_LABELS[reason])
      this.#log.debug('call failed', { from: shortPeerId(from), to: shortPeerId(to), reason, why })
      line.tell({ type: 'call-failed', call, reason })
      return
    }
    line.tell({ type: 'ticket', call, ticket: result.callerTicket })
    result.callee.tell({ type: 'ring', from, ticket: result.calleeTicket })
  }

  #connect(line: L, from: PeerId, to: PeerId, call: number): Connected<L> {
    const now = this.#clock.now()
    if (!this.#calls.take(from, 1, now)) return { failure: 'over-quota', why: 'calls too often' }
    if (from === to) return { failure: 'refused', why: 'calls itself' }
    const callee = this.directory.get(to)
    if (callee === undefined) return { failure: 'offline', why: 'has no line' }
    if (!this.#rights.mayCall(line, callee)) return { failure: 'offline', why: 'one of them is the guest of another' }
    if (!this.#mayRing(from, to, this.#rights.isExpected(line, callee), now))
      return { failure: 'busy', why: 'is rung too often' }
    const result = this.#pipes.open(from, to, call)
    return 'failure' in result ? result : { ...result, callee }
  }

  /** Strangers have an allowance apart, so that no number of them keeps a friend from ringing. */
  #mayRing(from: PeerId, to: PeerId, expected: boolean, now: number): boolean {
    return expected || this.directory.watchEachOther(from, to)
      ? this.#friendRings.take(`${from} ${to}`, 1, now)
      : this.#strangerRings.take(to, 1, now)
  }

  #refuse(by: PeerId, ticket: Uint8Array, reason: CallFailure): void {
    const pipe = this.#pipes.refuse(ticket, by)
    if (pipe === undefined) return
    this.#counters.refuse(FAILURE_LABELS[reason])
    this.directory.get(pipe.caller)?.tell({ type: 'call-failed', call: pipe.call, reason })
  }

  #notify(notices: readonly PresenceNotice<L>[]): void {
    for (const { to, peer, online } of notices) to.tell({ type: 'presence', peer, online })
  }
}

function isSameProcess({ instance }: SwitchLine, other: Uint8Array): boolean {
  return instance !== undefined && sameBytes(instance, other)
}
