import { isIPv4 } from 'node:net'
import { CulvertError } from '../../common/errors.ts'
import { type Clock, pause } from '../../common/platform/clock.ts'
import type { Random } from '../../common/platform/random.ts'
import { addressScope, type Endpoint } from '../../common/wire/endpoint.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import type { Decline, PunchSignal, PunchWords } from '../../common/wire/punch-signal.ts'
import { freshTcpPorts } from '../nat/tcp-port-sample.ts'
import type { Path } from '../path/path.ts'
import type { Sealer } from '../path/seal.ts'
import { TcpMeeting } from '../path/tcp-meeting.ts'
import {
  AIMED_FLOWS,
  FORETOLD_PORTS,
  foretellAim,
  foretellWindow,
  type OutsideWindow,
  openInSandwich,
  openPunchPort,
  type PunchPort,
} from '../path/tcp-punch.ts'
import type { AttemptBudget } from './attempt-budget.ts'
import { LateOffer } from './late-offer.ts'
import { Missed, PunchAttempts } from './punch-attempts.ts'
import {
  BOTH_UNPREDICTABLE,
  checkMeetingPlace,
  type PunchDialogue,
  UNPREDICTABLE,
  type Words,
  whyDeclined,
} from './punch-dialogue.ts'

/** The SYN that was lost at the other NAT is sent again after 1 s and 3 s. */
export const MEETING_MS = 5_000
/** Two NATs whose ports are foretold meet at once or not at all; the next try foretells anew. */
const AIMED_MS = 1_500
const AIMED_ROUNDS = 3
/** A window over TCP is some ports wide; each costs a connection. */
const MAX_WINDOW = 24
/** What a NAT's ports follow does not change by itself, but the network that we are in may. */
const FORGET_UNPREDICTABLE_MS = 600_000

/** Nothing is sealed before TLS. */
export const NO_SECRET = new Uint8Array(0)

export interface PunchingContext {
  readonly peerId: PeerId
  /** One side offers, so that two attempts never cross. */
  readonly offers: boolean
  readonly sealer: Sealer
  readonly clock: Clock
  readonly random: Random
  readonly budget: AttemptBudget
  readonly signal: AbortSignal
  stunServers(): readonly Endpoint[]
  readonly isOwnAddress: (address: string) => boolean
  /** The router gives each destination another TCP port: what a relay sees is not what the peer would meet. */
  hardNat(): boolean
  hasTcp(): boolean
  /** Our router's own address outside, where it stands behind another NAT. */
  addressBetweenNats(): string | undefined
  /** Of the path that carries our signals, in ms. */
  rttMs(): number
  attach(path: Path): void
  send(attempt: number, signal: PunchSignal): void
  /** What stopped an attempt; undefined when it made a path. */
  onOutcome(error: CulvertError | undefined): void
}

/** TCP through two NATs by simultaneous open, arranged inside the session. */
export class TcpPunching {
  readonly #context: PunchingContext
  readonly #attempts: PunchAttempts
  readonly #late: LateOffer
  #unpredictableUntil = Number.NEGATIVE_INFINITY

  constructor(context: PunchingContext) {
    this.#context = context
    this.#late = new LateOffer(context.clock)
    this.#attempts = new PunchAttempts({ ...context, over: 'tcp' })
  }

  /** The offering side's attempts. False, at once, when they are needless: on the other side, or with a path over TCP. */
  async run(): Promise<boolean> {
    const { offers, hasTcp } = this.#context
    if (!offers || hasTcp()) return false
    if (this.#attempts.running || this.#knownUnpredictable()) return true
    for (let rounds = AIMED_ROUNDS; rounds > 0 && !hasTcp(); rounds--) {
      if (!(await this.#attempts.begin(dialogue => this.#offer(dialogue)))) break
    }
    return true
  }

  receive(attempt: number, words: PunchWords): void {
    const { offers, hasTcp, budget } = this.#context
    if (this.#attempts.receive(attempt, words) || offers) return
    if (words.kind !== 'offer' && words.kind !== 'ask') return
    this.#late.keep(() => {
      if (budget.takePunchOffer()) void this.#attempts.join(attempt, dialogue => this.#answer(dialogue, words))
    })
    if (!hasTcp()) this.#late.take()
  }

  /** Another path is in use, or none. */
  onPaths(): void {
    if (!this.#context.hasTcp()) this.#late.take()
  }

  async #offer(dialogue: PunchDialogue): Promise<Path> {
    if (this.#context.hardNat()) {
      dialogue.say({ kind: 'ask', secret: NO_SECRET })
      const reply = await dialogue.next(['answer', 'aim'], whyBothFail)
      return reply.kind === 'answer' ? this.#reach(dialogue, reply.outside) : this.#aim(dialogue, reply.outside)
    }
    using port = await this.#openPort(dialogue)
    dialogue.say({ kind: 'offer', ...this.#places(port), secret: NO_SECRET })
    const reply = await dialogue.next(['answer', 'window'], whyDeclined)
    return reply.kind === 'answer' ? this.#meet(dialogue, port, reply) : this.#await(dialogue, port, reply)
  }

  async #answer(dialogue: PunchDialogue, words: Words<'offer' | 'ask'>): Promise<Path> {
    if (this.#knownUnpredictable()) throw dialogue.decline('unpredictable', UNPREDICTABLE)
    if (this.#context.hardNat()) {
      return words.kind === 'offer' ? this.#reach(dialogue, words.outside) : this.#aim(dialogue, undefined)
    }
    using port = await this.#openPort(dialogue)
    dialogue.say({ kind: 'answer', ...this.#places(port) })
    if (words.kind === 'offer') return this.#meet(dialogue, port, words)
    return this.#await(dialogue, port, await dialogue.next(['window'], whyDeclined))
  }

  /** Where we are met: outside, and behind a carrier's NAT by its other customers. Most routers keep ports. */
  #places({ outside, localPort: port }: PunchPort): { readonly outside: Endpoint; readonly between?: Endpoint } {
    const address = this.#context.addressBetweenNats()
    return address === undefined ? { outside } : { outside, between: { address, port } }
  }

  /** Both sides are met where relays see them; or between two NATs, when the outer one is the same and leads nobody back. */
  #meet(dialogue: PunchDialogue, port: PunchPort, remote: Words<'offer' | 'answer'>): Promise<Path> {
    const { outside, between } = remote
    checkMeetingPlace(outside.address, port.outside.address, this.#context.isOwnAddress)
    const meeting = this.#meeting(dialogue, MEETING_MS)
    void meeting.line({ port: port.localPort }, outside, { again: true })
    const own = this.#context.addressBetweenNats()
    if (
      between &&
      own !== undefined &&
      outside.address === port.outside.address &&
      areNeighbours(between.address, own) &&
      !this.#context.isOwnAddress(between.address)
    ) {
      void meeting.line({ port: port.localPort }, between, { again: true })
    }
    return meeting.complete()
  }

  /** The peer comes from one of these ports, or will. */
  async #await(dialogue: PunchDialogue, port: PunchPort, told: Words<'window'>): Promise<Path> {
    const meeting = this.#meeting(dialogue, MEETING_MS)
    const open = ({ from, ports, first }: Words<'window'>) => {
      checkMeetingPlace(from.address, port.outside.address, this.#context.isOwnAddress)
      if (ports > MAX_WINDOW) throw new CulvertError('wire-malformed', `a window of ${ports} ports`)
      for (let i = 0; i < ports; i++) {
        void meeting.line({ port: port.localPort }, { address: from.address, port: from.port + i }, { again: true })
      }
      if (first) dialogue.say({ kind: 'go' })
    }
    try {
      open(told)
      // Our router may answer the peer's SYN with RST; then it foretells its next ports, and comes once we are open.
      if (!told.first)
        void dialogue
          .next(['window'], whyDeclined)
          .then(open)
          .catch(() => undefined)
      return await meeting.path
    } finally {
      meeting.close()
    }
  }

  /** Our NAT counts its ports, and the peer is met where a relay sees it. */
  async #reach(dialogue: PunchDialogue, remote: Endpoint): Promise<Path> {
    const { stunServers } = this.#context
    const meeting = this.#meeting(dialogue, MEETING_MS)
    try {
      const opened = await openInSandwich(stunServers(), remote, meeting, this.#while(dialogue))
      if (!opened) throw dialogue.decline('other', NO_SERVER)
      if (!opened.found) throw this.#unpredictable(dialogue)
      const { found, line } = opened
      checkMeetingPlace(remote.address, found.address, this.#context.isOwnAddress)
      sayWindow(dialogue, found, false)
      const refused = line.then(end => end === 'refused')
      if (await Promise.race([refused, meeting.path.then(() => false)]))
        await this.#reachAfter(dialogue, remote, meeting)
      return await meeting.path
    } finally {
      meeting.close()
    }
  }

  /** The peer's router answers with RST what it did not expect, so the peer opens it first, towards our next ports. */
  async #reachAfter(dialogue: PunchDialogue, remote: Endpoint, meeting: TcpMeeting): Promise<void> {
    const { stunServers, random } = this.#context
    const window = await foretellWindow(stunServers(), this.#while(dialogue))
    if (!window) throw this.#unpredictable(dialogue)
    sayWindow(dialogue, window, true)
    await dialogue.next(['go'], whyDeclined)
    for (const localPort of freshTcpPorts(random, FORETOLD_PORTS)) {
      if ((await meeting.line({ port: localPort }, remote, { again: false })) !== 'refused') break
    }
    void meeting.complete()
  }

  /** Both NATs count their ports: each side aims at a port that one of the other's next flows will have. */
  async #aim(dialogue: PunchDialogue, told: Endpoint | undefined): Promise<Path> {
    const { stunServers, random, rttMs, clock, offers } = this.#context
    const own = await foretellAim(stunServers(), this.#while(dialogue))
    if (!own) throw this.#unpredictable(dialogue, BOTH_UNPREDICTABLE)
    dialogue.say({ kind: 'aim', outside: own })
    const remote = told ?? (await dialogue.next(['aim'], whyBothFail)).outside
    checkMeetingPlace(remote.address, own.address, this.#context.isOwnAddress)
    // The offerer speaks last; the other side hears it half a round trip later.
    if (offers) await pause(clock, rttMs() / 2, dialogue.signal)
    const meeting = this.#meeting(dialogue, AIMED_MS)
    for (const localPort of freshTcpPorts(random, AIMED_FLOWS))
      void meeting.line({ port: localPort }, remote, { again: false })
    try {
      return await meeting.complete()
    } catch (thrown) {
      throw new Missed(thrown)
    }
  }

  async #openPort(dialogue: PunchDialogue): Promise<PunchPort & Disposable> {
    const port = await openPunchPort(this.#context.stunServers(), this.#while(dialogue))
    if (!port) throw dialogue.decline('other', NO_SERVER)
    return { ...port, [Symbol.dispose]: () => port.release() }
  }

  #knownUnpredictable(): boolean {
    const { hardNat, clock } = this.#context
    return hardNat() && clock.now() < this.#unpredictableUntil
  }

  #unpredictable(dialogue: PunchDialogue, message = UNPREDICTABLE): CulvertError {
    this.#unpredictableUntil = this.#context.clock.now() + FORGET_UNPREDICTABLE_MS
    return dialogue.decline('unpredictable', message)
  }

  #meeting(dialogue: PunchDialogue, forMs: number): TcpMeeting {
    const { peerId, offers, sealer, clock } = this.#context
    const role = offers ? 'client' : 'server'
    return new TcpMeeting({ peer: peerId, role, forMs, sealer, clock, signal: dialogue.signal })
  }

  #while({ signal }: PunchDialogue) {
    const { clock, random } = this.#context
    return { clock, random, signal }
  }
}

const NO_SERVER = 'no relay tells our outside TCP address'

/** The peer declined, and our own NAT is hard. */
function whyBothFail(why: Decline): string {
  return why === 'unpredictable' ? BOTH_UNPREDICTABLE : whyDeclined(why)
}

function sayWindow(dialogue: PunchDialogue, { address, window }: OutsideWindow, first: boolean): void {
  dialogue.say({ kind: 'window', from: { address, port: window.first }, ports: window.count, first })
}

/** A carrier's addresses are all between its NAT and homes; a private one has to be next to our router's own. */
function areNeighbours(remote: string, own: string): boolean {
  const scope = addressScope(remote)
  if (scope !== addressScope(own) || remote === own) return false
  return scope === 'carrier' || (scope === 'private' && sameSubnet(remote, own))
}

/** Home routers give out /24. */
function sameSubnet(a: string, b: string): boolean {
  return isIPv4(a) && isIPv4(b) && a.slice(0, a.lastIndexOf('.')) === b.slice(0, b.lastIndexOf('.'))
}
