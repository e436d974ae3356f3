import type { Random } from '../common/platform/random.ts'
import type { PeerId } from '../common/wire/peer-id.ts'
import { type CallFailure, TICKET_BYTES } from '../common/wire/relay-message.ts'

export type PipeSide = 'caller' | 'callee'

/** One called pipe. `S` is an attached end: a socket, or anything in a test. */
export interface Pipe<S> {
  /** The caller's own number for its call. */
  readonly call: number
  readonly caller: PeerId
  readonly callee: PeerId
  readonly openedAt: number
  state: PipeState<S>
}

export type PipeState<S> =
  | { readonly name: 'waiting'; readonly until: number; readonly attached: { readonly [Side in PipeSide]?: S } }
  | { readonly name: 'joined' }
  | { readonly name: 'closed' }

export interface PipeLimits {
  readonly pipes: number
  readonly pipesPerPeer: number
  readonly ticketLifeMs: number
}

export type OpenResult<S> =
  | { readonly pipe: Pipe<S>; readonly callerTicket: Uint8Array; readonly calleeTicket: Uint8Array }
  | { readonly failure: CallFailure; readonly why: string }

/** A call that waits for its callee. */
export interface Ring {
  readonly caller: PeerId
  /** The callee's. */
  readonly ticket: Uint8Array
}

export type AttachResult<S> =
  | { readonly name: 'unknown' }
  | { readonly name: 'waiting'; readonly pipe: Pipe<S> }
  | { readonly name: 'joined'; readonly pipe: Pipe<S>; readonly caller: S; readonly callee: S }

/**
 *   call ──▶ waiting ──both attached──▶ joined ──▶ closed
 *               └──── refused, or out of time ─────▲
 *
 * A ticket works once: an attach removes it, whatever becomes of the pipe.
 */
export class PipeTable<S> {
  readonly #random: Random
  readonly #limits: () => PipeLimits
  readonly #byTicket = new Map<string, { readonly pipe: Pipe<S>; readonly side: PipeSide }>()
  readonly #tickets = new Map<Pipe<S>, readonly string[]>()
  /** Waiting pipes, oldest first: all live equally long, so the first is always the next to end. */
  readonly #waiting = new Set<Pipe<S>>()
  readonly #waitingFor = new Map<PeerId, Set<Pipe<S>>>()
  readonly #perPeer = new Map<PeerId, number>()
  #open = 0

  constructor(random: Random, limits: () => PipeLimits) {
    this.#random = random
    this.#limits = limits
  }

  /** Pipes that wait or are joined. */
  get size(): number {
    return this.#open
  }

  get waiting(): number {
    return this.#waiting.size
  }

  open(caller: PeerId, callee: PeerId, call: number, now: number): OpenResult<S> {
    const limits = this.#limits()
    if (this.#open >= limits.pipes) return { failure: 'busy', why: `all ${limits.pipes} pipes are in use` }
    if (this.#countOf(caller) >= limits.pipesPerPeer) {
      return { failure: 'over-quota', why: `caller has ${limits.pipesPerPeer} pipes` }
    }
    // Only joined pipes and own calls count, so that a stranger's calls cannot use up the callee's share.
    if (this.#countOf(callee) >= limits.pipesPerPeer) {
      return { failure: 'busy', why: `callee has ${limits.pipesPerPeer} pipes` }
    }
    const until = now + limits.ticketLifeMs
    const pipe: Pipe<S> = { call, caller, callee, openedAt: now, state: { name: 'waiting', until, attached: {} } }
    const callerTicket = this.#random.bytes(TICKET_BYTES)
    const calleeTicket = this.#random.bytes(TICKET_BYTES)
    const texts = [ticketText(callerTicket), ticketText(calleeTicket)] as const
    this.#byTicket.set(texts[0], { pipe, side: 'caller' })
    this.#byTicket.set(texts[1], { pipe, side: 'callee' })
    this.#tickets.set(pipe, texts)
    this.#waiting.add(pipe)
    const waitingFor = this.#waitingFor.get(callee)
    if (waitingFor) waitingFor.add(pipe)
    else this.#waitingFor.set(callee, new Set([pipe]))
    this.#open++
    this.#count(caller, 1)
    return { pipe, callerTicket, calleeTicket }
  }

  attach(ticket: string, end: S, now: number): AttachResult<S> {
    const found = this.#byTicket.get(ticket)
    if (!found) return { name: 'unknown' }
    this.#byTicket.delete(ticket)
    const { pipe, side } = found
    const state = pipe.state
    if (state.name !== 'waiting' || now >= state.until) return { name: 'unknown' }
    const attached = { ...state.attached, [side]: end }
    const { caller, callee } = attached
    if (caller === undefined || callee === undefined) {
      pipe.state = { ...state, attached }
      return { name: 'waiting', pipe }
    }
    pipe.state = { name: 'joined' }
    this.#forgetWait(pipe)
    this.#count(pipe.callee, 1)
    return { name: 'joined', pipe, caller, callee }
  }

  /** Ends the waiting pipe whose callee holds this ticket. Undefined when `by` is not that callee. */
  refuse(ticket: Uint8Array, by: PeerId): Pipe<S> | undefined {
    const found = this.#byTicket.get(ticketText(ticket))
    return found?.side === 'callee' && found.pipe.callee === by ? found.pipe : undefined
  }

  /** Oldest first. */
  unanswered(callee: PeerId): readonly Ring[] {
    const rings: Ring[] = []
    for (const pipe of this.#waitingFor.get(callee) ?? []) {
      const text = this.#tickets.get(pipe)?.[1]
      const taken = pipe.state.name !== 'waiting' || pipe.state.attached.callee !== undefined
      if (text !== undefined && !taken)
        rings.push({ caller: pipe.caller, ticket: new Uint8Array(Buffer.from(text, 'base64url')) })
    }
    return rings
  }

  /** Waiting pipes that are out of time; each still has to be closed. */
  expired(now: number): readonly Pipe<S>[] {
    const late: Pipe<S>[] = []
    for (const pipe of this.#waiting) {
      if (pipe.state.name !== 'waiting' || now < pipe.state.until) break
      late.push(pipe)
    }
    return late
  }

  /** When the next waiting pipe is out of time. */
  nextExpiry(): number | undefined {
    for (const { state } of this.#waiting) if (state.name === 'waiting') return state.until
    return undefined
  }

  waitingPipes(): readonly Pipe<S>[] {
    return [...this.#waiting]
  }

  /** Takes the pipe out of all tables and returns the ends that were attached and never joined. */
  close(pipe: Pipe<S>): readonly S[] {
    const state = pipe.state
    if (state.name === 'closed') return []
    pipe.state = { name: 'closed' }
    this.#forgetWait(pipe)
    this.#open--
    this.#count(pipe.caller, -1)
    if (state.name === 'joined') {
      this.#count(pipe.callee, -1)
      return []
    }
    return [state.attached.caller, state.attached.callee].filter(end => end !== undefined)
  }

  #forgetWait(pipe: Pipe<S>): void {
    this.#waiting.delete(pipe)
    const waitingFor = this.#waitingFor.get(pipe.callee)
    waitingFor?.delete(pipe)
    if (waitingFor?.size === 0) this.#waitingFor.delete(pipe.callee)
    for (const ticket of this.#tickets.get(pipe) ?? []) this.#byTicket.delete(ticket)
    this.#tickets.delete(pipe)
  }

  #countOf(peer: PeerId): number {
    return this.#perPeer.get(peer) ?? 0
  }

  #count(peer: PeerId, change: 1 | -1): void {
    const count = this.#countOf(peer) + change
    if (count <= 0) this.#perPeer.delete(peer)
    else this.#perPeer.set(peer, count)
  }
}

/** A ticket as it stands in the attach URL: base64url without padding. */
export function ticketText(ticket: Uint8Array): string {
  return Buffer.from(ticket).toString('base64url')
}
