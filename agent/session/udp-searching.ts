import { CulvertError } from '../../common/errors.ts'
import { type Clock, deadline, type Timer } from '../../common/platform/clock.ts'
import type { Random } from '../../common/platform/random.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { PROBE_SECRET_BYTES, probeKeys } from '../../common/wire/probe.ts'
import type { Decline, PunchSignal, PunchWords } from '../../common/wire/punch-signal.ts'
import type { ProbeBudget } from '../nat/probe-budget.ts'
import type { UdpPort } from '../nat/udp-port.ts'
import { openSeenPort } from '../nat/udp-port-sample.ts'
import type { Path } from '../path/path.ts'
import type { Sealer } from '../path/seal.ts'
import { planHardSide } from '../path/search-plan.ts'
import type { OutsideWindow } from '../path/tcp-punch.ts'
import { UdpMeeting } from '../path/udp-meeting.ts'
import {
  aimAt,
  lookAtPorts,
  openInUdpSandwich,
  openMany,
  prepareAim,
  probeWindow,
  type UdpSearchContext,
} from '../path/udp-search.ts'
import type { AttemptBudget } from './attempt-budget.ts'
import { LateOffer } from './late-offer.ts'
import { Missed, PunchAttempts } from './punch-attempts.ts'
import {
  BOTH_UNPREDICTABLE,
  checkMeetingPlace,
  type PunchDialogue,
  UNPREDICTABLE,
  Unanswered,
  type Words,
  whyDeclined,
} from './punch-dialogue.ts'
import { busyAgainMs, type SearchMemory, searchAgainMs } from './search-choice.ts'
import type { GateHold, SearchGate } from './search-gate.ts'

/** 1,400 checks at 200 a second take seven; the hard side's flows begin within one or two. */
const SEARCH_MS = 10_000
/** Two NATs whose ports are foretold meet at once or not at all; the next try foretells anew. */
const AIMED_MS = 1_500
const AIMED_ROUNDS = 3
/** The longest that a search waits for others to end. */
const TURN_MS = 120_000
/** A peer that was turned away is expected back within this time. */
const TURNED_AWAY_MS = 30_000
/** The hard side looks at its ports before it tells the window. */
const WINDOW_MS = 6_000

export interface SearchingContext {
  readonly peerId: PeerId
  /** One side begins, so that two searches never cross. */
  readonly offers: boolean
  readonly sealer: Sealer
  readonly clock: Clock
  readonly random: Random
  readonly budget: AttemptBudget
  readonly probes: ProbeBudget
  readonly gate: SearchGate
  readonly signal: AbortSignal
  stunServers(): readonly Endpoint[]
  readonly isOwnAddress: (address: string) => boolean
  /** The router gives each destination another UDP port. */
  hardNat(): boolean
  hasDirect(): boolean
  /** Names the networks that both sides are in, as far as that is known. */
  place(): string
  attach(path: Path): void
  send(attempt: number, signal: PunchSignal): void
  /** What stopped a search; undefined when it made a path. */
  onOutcome(error: CulvertError | undefined): void
  learn(found: SearchMemory): void
}

/** The search for two UDP ports that meet where a router takes another outside port for each destination. */
export class UdpSearching {
  readonly #context: SearchingContext
  readonly #attempts: PunchAttempts
  readonly #late: LateOffer
  #place = ''
  #failures = 0
  #notBefore = Number.NEGATIVE_INFINITY
  /** Times in a row that the peer was busy. */
  #busy = 0
  #again: Timer | undefined
  /** For our own gate. */
  #waiting = false
  /** When we told the peer that we are busy: it comes again. */
  #turnedAwayAt = Number.NEGATIVE_INFINITY
  #lastError: CulvertError | undefined

  constructor(context: SearchingContext) {
    this.#context = context
    this.#late = new LateOffer(context.clock)
    const onOutcome = (error: CulvertError | undefined) => {
      this.#lastError = error
      context.onOutcome(error)
    }
    this.#attempts = new PunchAttempts({ ...context, over: 'udp', onOutcome })
  }

  /** A search is still to come: it waits for one to another peer, here or over there. */
  get pending(): boolean {
    const { clock } = this.#context
    return this.#waiting || this.#again !== undefined || clock.now() < this.#turnedAwayAt + TURNED_AWAY_MS
  }

  /**
   * The beginning side's search. False, at once, when it is needless: on the other side, or with a direct path. While
   * another search runs it resolves, too, and this one follows by itself: the cheap ways are not to wait for it.
   */
  async run(): Promise<boolean> {
    const { offers, hasDirect, gate, peerId } = this.#context
    if (!offers || hasDirect()) return false
    if (this.#waiting || this.#again || !this.#isWorthwhile()) return true
    const entered = gate.enter(peerId)
    if (entered) await this.#search(entered)
    else void this.#searchInTurn()
    return true
  }

  async #searchInTurn(): Promise<void> {
    const { gate, peerId, onOutcome, clock, signal } = this.#context
    onOutcome(new CulvertError('busy', 'waits for the search for another peer'))
    this.#waiting = true
    const limit = deadline(clock, TURN_MS, signal)
    const entered = await gate.turn(peerId, limit.signal)
    limit.done()
    this.#waiting = false
    if (entered && this.#isWorthwhile()) await this.#search(entered)
    else entered?.[Symbol.dispose]()
  }

  #isWorthwhile(): boolean {
    const { hasDirect, signal } = this.#context
    return !signal.aborted && !this.#attempts.running && !hasDirect() && this.#isDue()
  }

  async #search(entered: GateHold): Promise<void> {
    using hold = this.#within(entered)
    const { hasDirect } = this.#context
    this.#lastError = undefined
    for (let rounds = AIMED_ROUNDS; rounds > 0 && !hasDirect() && !hold.overdue.aborted; rounds--) {
      if (!(await this.#attempts.begin(dialogue => this.#begin(dialogue)))) break
    }
    this.#plan(this.#lastError)
  }

  /** What searches ends with its time in the gate. */
  #within(hold: GateHold): GateHold {
    hold.overdue.addEventListener('abort', () => this.#attempts.stop(), { once: true })
    return hold
  }

  /** The peer searches a way to somebody else; that says nothing about the way to it. */
  #later(delayMs: number): void {
    const { clock, signal } = this.#context
    const stop = () => {
      this.#again?.cancel()
      this.#again = undefined
    }
    signal.addEventListener('abort', stop, { once: true })
    this.#again = clock.after(delayMs, () => {
      signal.removeEventListener('abort', stop)
      this.#again = undefined
      void this.run()
    })
  }

  receive(attempt: number, words: PunchWords): void {
    const { offers, hasDirect, budget } = this.#context
    if (this.#attempts.receive(attempt, words) || offers) return
    if (words.kind !== 'offer' && words.kind !== 'ask') return
    this.#late.keep(() => {
      if (budget.takeSearchOffer()) void this.#attempts.join(attempt, dialogue => this.#enter(dialogue, words))
    })
    if (!hasDirect()) this.#late.take()
  }

  /** Another path is in use, or none. */
  onPaths(): void {
    if (this.#context.hasDirect()) this.#attempts.stop()
    else this.#late.take()
  }

  /** Decides when the next search may begin. One that the peer did not answer has cost no packet. */
  #plan(error: CulvertError | undefined): void {
    if (error instanceof Unanswered) return
    const againMs = error?.code === 'busy' ? busyAgainMs(this.#busy++) : undefined
    if (againMs !== undefined) {
      this.#later(againMs)
      return
    }
    this.#busy = 0
    this.#failures = error ? this.#failures + 1 : 0
    this.#notBefore = this.#context.clock.now() + searchAgainMs(this.#failures)
  }

  /** Each search fills a good part of a router's table, so one that finds nothing is not repeated at every try. */
  #isDue(): boolean {
    const place = this.#context.place()
    if (place !== this.#place) {
      this.#failures = 0
      this.#notBefore = Number.NEGATIVE_INFINITY
    }
    this.#place = place
    return this.#context.clock.now() >= this.#notBefore
  }

  async #begin(dialogue: PunchDialogue): Promise<Path> {
    const { random, hardNat } = this.#context
    const secret = random.bytes(PROBE_SECRET_BYTES)
    if (hardNat()) {
      dialogue.say({ kind: 'ask', secret })
      const reply = await dialogue.next(['answer', 'aim'], why => this.#whyBothFail(why))
      return reply.kind === 'answer'
        ? this.#open(dialogue, secret, reply.outside)
        : this.#aim(dialogue, secret, reply.outside)
    }
    const seen = await this.#openSeen(dialogue)
    return this.#probe(dialogue, secret, seen, () => {
      dialogue.say({ kind: 'offer', outside: seen.outside, secret })
    })
  }

  async #enter(dialogue: PunchDialogue, words: Words<'offer' | 'ask'>): Promise<Path> {
    const { gate, hardNat, peerId, clock } = this.#context
    const { secret } = words
    using entered = gate.enter(peerId)
    if (!entered) {
      this.#turnedAwayAt = clock.now()
      throw dialogue.decline('busy', 'a search for another peer is under way')
    }
    this.#within(entered)
    if (!hardNat()) {
      if (words.kind === 'offer') throw dialogue.decline('not-hard', 'neither router needs a search')
      const seen = await this.#openSeen(dialogue)
      return await this.#probe(dialogue, secret, seen, () => {
        dialogue.say({ kind: 'answer', outside: seen.outside })
      })
    }
    return await (words.kind === 'offer'
      ? this.#open(dialogue, secret, words.outside)
      : this.#aim(dialogue, secret, undefined))
  }

  /** The easy side: it is met at one port, and looks for the other side's. */
  async #probe(
    dialogue: PunchDialogue,
    secret: Uint8Array,
    { port, outside }: { readonly port: UdpPort; readonly outside: Endpoint },
    tell: () => void,
  ): Promise<Path> {
    const meeting = this.#meeting(dialogue, secret, true, WINDOW_MS + SEARCH_MS)
    try {
      meeting.add(port)
      tell()
      const { from, ports } = await dialogue.next(['window'], whyDeclined, WINDOW_MS)
      checkMeetingPlace(from.address, outside.address, this.#context.isOwnAddress)
      const window: OutsideWindow = { address: from.address, window: { first: from.port, count: ports } }
      void probeWindow(meeting, port, window, this.#while(dialogue))
      return await this.#learnt(meeting.path, 'udp/window')
    } finally {
      meeting.close()
    }
  }

  /** The hard side, towards a peer that is met at one port. */
  async #open(dialogue: PunchDialogue, secret: Uint8Array, remote: Endpoint): Promise<Path> {
    const context = this.#while(dialogue)
    const seen = await lookAtPorts(context)
    if (!seen) throw dialogue.decline('other', NO_SERVER)
    checkMeetingPlace(remote.address, seen.address, this.#context.isOwnAddress)
    const plan = planHardSide(seen.pattern, context.budgetEntries)
    const meeting = this.#meeting(dialogue, secret, false, SEARCH_MS)
    try {
      if (plan.kind === 'sandwich') {
        const found = await openInUdpSandwich(meeting, remote, context)
        if (!found) throw dialogue.decline('unpredictable', UNPREDICTABLE)
        sayWindow(dialogue, found)
      } else {
        await openMany(meeting, remote, plan.sockets, context)
        sayWindow(dialogue, { address: seen.address, window: plan.window })
      }
      return await this.#learnt(meeting.path, 'udp/window')
    } finally {
      meeting.close()
    }
  }

  /** Both are hard: each aims at a port that one of the other's next flows will have. */
  async #aim(dialogue: PunchDialogue, secret: Uint8Array, told: Endpoint | undefined): Promise<Path> {
    const { offers, learn } = this.#context
    const context = this.#while(dialogue)
    const own = await prepareAim(context)
    if (!own) {
      learn('none')
      throw dialogue.decline('unpredictable', BOTH_UNPREDICTABLE)
    }
    dialogue.say({ kind: 'aim', outside: own })
    const remote = told ?? (await dialogue.next(['aim'], why => this.#whyBothFail(why))).outside
    checkMeetingPlace(remote.address, own.address, this.#context.isOwnAddress)
    const meeting = this.#meeting(dialogue, secret, offers, AIMED_MS)
    try {
      await aimAt(meeting, remote, context)
      return await this.#learnt(meeting.path, 'udp/aim')
    } catch (thrown) {
      throw new Missed(thrown)
    } finally {
      meeting.close()
    }
  }

  /** The peer declined, and our own NAT is hard. */
  #whyBothFail(why: Decline): string {
    if (why !== 'unpredictable') return whyDeclined(why)
    this.#context.learn('none')
    return BOTH_UNPREDICTABLE
  }

  async #learnt(made: Promise<Path>, how: SearchMemory): Promise<Path> {
    const path = await made
    this.#context.learn(how)
    return path
  }

  async #openSeen(dialogue: PunchDialogue) {
    const seen = await openSeenPort(this.#context.stunServers(), this.#while(dialogue))
    if (!seen) throw dialogue.decline('other', NO_SERVER)
    return seen
  }

  #meeting(dialogue: PunchDialogue, secret: Uint8Array, decides: boolean, forMs: number): UdpMeeting {
    const { peerId, offers, sealer, probes, clock, random } = this.#context
    const keys = probeKeys(secret, offers ? 'smaller' : 'larger')
    const { signal } = dialogue
    return new UdpMeeting({ peer: peerId, decides, keys, forMs, sealer, budget: probes, clock, random, signal })
  }

  #while({ signal }: PunchDialogue): UdpSearchContext {
    const { clock, random, probes, stunServers } = this.#context
    return { clock, random, signal, budget: probes, stunServers: stunServers(), budgetEntries: probes.report.limit }
  }
}

const NO_SERVER = 'no relay tells our outside UDP address'

function sayWindow(dialogue: PunchDialogue, { address, window }: OutsideWindow): void {
  dialogue.say({ kind: 'window', from: { address, port: window.first }, ports: window.count, first: false })
}
