import { isIPv6 } from 'node:net'
import { CulvertError } from '../../common/errors.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import type { PunchWords } from '../../common/wire/punch-signal.ts'
import { freshTcpPorts } from '../nat/tcp-port-sample.ts'
import type { Path } from '../path/path.ts'
import { TcpMeeting } from '../path/tcp-meeting.ts'
import { LateOffer } from './late-offer.ts'
import { PunchAttempts } from './punch-attempts.ts'
import { checkMeetingPlace, type PunchDialogue, whyDeclined } from './punch-dialogue.ts'
import { MEETING_MS, NO_SECRET, type PunchingContext } from './tcp-punching.ts'

export interface Punching6Context extends PunchingContext {
  /** A public IPv6 address of this machine. */
  ownAddress(): string | undefined
  /** The peer has told one, too. */
  theyHaveOne(): boolean
}

/** TCP through two firewalls over IPv6 by simultaneous open: no NAT draws ports there, so no server is asked for one. */
export class Tcp6Punching {
  readonly #context: Punching6Context
  readonly #attempts: PunchAttempts
  readonly #late: LateOffer

  constructor(context: Punching6Context) {
    this.#context = context
    this.#late = new LateOffer(context.clock)
    this.#attempts = new PunchAttempts({ ...context, over: 'tcp6' })
  }

  /** The offering side's attempt. False, at once, when it is needless: on the other side, or with a path over TCP. */
  async run(): Promise<boolean> {
    const { offers, hasTcp, ownAddress, theyHaveOne } = this.#context
    if (!offers || hasTcp()) return false
    if (!this.#attempts.running && ownAddress() !== undefined && theyHaveOne()) {
      await this.#attempts.begin(dialogue => this.#offer(dialogue))
    }
    return true
  }

  receive(attempt: number, words: PunchWords): void {
    const { offers, hasTcp, budget } = this.#context
    if (this.#attempts.receive(attempt, words) || offers || words.kind !== 'offer') return
    this.#late.keep(() => {
      if (budget.takePunchOffer()) void this.#attempts.join(attempt, dialogue => this.#answer(dialogue, words.outside))
    })
    if (!hasTcp()) this.#late.take()
  }

  /** Another path is in use, or none. */
  onPaths(): void {
    if (!this.#context.hasTcp()) this.#late.take()
  }

  async #offer(dialogue: PunchDialogue): Promise<Path> {
    const own = this.#place(dialogue)
    dialogue.say({ kind: 'offer', outside: own, secret: NO_SECRET })
    const { outside } = await dialogue.next(['answer'], whyDeclined)
    return await this.#meet(dialogue, own, outside)
  }

  async #answer(dialogue: PunchDialogue, remote: Endpoint): Promise<Path> {
    const own = this.#place(dialogue)
    dialogue.say({ kind: 'answer', outside: own })
    return await this.#meet(dialogue, own, remote)
  }

  #place(dialogue: PunchDialogue): Endpoint {
    const address = this.#context.ownAddress()
    const [port] = freshTcpPorts(this.#context.random, 1)
    if (address === undefined || port === undefined) throw dialogue.decline('other', 'this device has no IPv6 address')
    return { address, port }
  }

  #meet({ signal }: PunchDialogue, own: Endpoint, remote: Endpoint): Promise<Path> {
    if (!isIPv6(remote.address)) throw new CulvertError('wire-malformed', 'the peer gave no IPv6 address')
    checkMeetingPlace(remote.address, own.address, this.#context.isOwnAddress)
    const { peerId, offers, sealer, clock } = this.#context
    const role = offers ? 'client' : 'server'
    const meeting = new TcpMeeting({ peer: peerId, role, forMs: MEETING_MS, sealer, clock, signal })
    // From the very address that was told: the peer's firewall lets in no other one.
    void meeting.line(own, remote, { again: true })
    return meeting.complete()
  }
}
