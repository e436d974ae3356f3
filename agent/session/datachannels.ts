import { asCulvertError, type CulvertError } from '../../common/errors.ts'
import type { Clock } from '../../common/platform/clock.ts'
import type { Log } from '../../common/platform/log.ts'
import type { Random } from '../../common/platform/random.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import type { IceSignal } from '../../common/wire/session-frame.ts'
import {
  type AttemptStage,
  type DatachannelAttempt,
  type DatachannelPath,
  startDatachannel,
} from '../path/datachannel/attempt.ts'
import type { Path } from '../path/path.ts'
import type { Sealer } from '../path/seal.ts'
import type { AttemptBudget } from './attempt-budget.ts'

/** A hopeless pair of NATs shows no sign of it for 40 s; a good one connects within 1.5 s even at 200 ms. */
const ATTEMPT_MS = 3_000
/** About one good attempt in a hundred dies early of a DTLS fault; a fresh one then works. */
const TRIES = 3
/** For a line that swallows full-sized packets: fits through every tunnel of tunnels that was ever met. */
const SMALL_MTU = 1_100

/** What our side of an attempt starts from. */
export interface UdpSituation {
  readonly port: number | undefined
  readonly mapped: Endpoint | undefined
  /** Packets come in only from where ours went to. */
  readonly filtered: boolean
}

export interface DatachannelsContext {
  readonly peerId: PeerId
  /** One side offers, so that two attempts never cross. */
  readonly offers: boolean
  readonly sealer: Sealer
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly budget: AttemptBudget
  readonly signal: AbortSignal
  /** Undefined when this machine makes no data channels. */
  udp(): UdpSituation | undefined
  stunServers(): readonly Endpoint[]
  isOwnAddress(address: string): boolean
  hasDirect(): boolean
  attach(path: Path): void
  send(attempt: number, signal: IceSignal): void
  /** What stopped an attempt; undefined when it made a path. */
  onOutcome(error: CulvertError | undefined): void
}

/** Data channels with a peer that makes no UDX paths, one attempt at a time. */
export class Datachannels {
  readonly #context: DatachannelsContext
  #attempt: { readonly number: number; readonly udp: DatachannelAttempt } | undefined
  #next: number
  #smallPackets = false

  constructor(context: DatachannelsContext) {
    this.#context = context
    // Drawn, so that a late signal of an earlier life is never taken for one of this.
    this.#next = context.random.integer(1, 2 ** 31)
  }

  /** The offering side's attempts; on the other side it resolves at once. */
  async run(): Promise<void> {
    const { offers, udp, signal, hasDirect } = this.#context
    if (!offers || !udp()) return
    for (let tries = 0; tries < TRIES; tries++) {
      if (signal.aborted || hasDirect()) return
      const stage = await this.#try(this.#next++, 'offerer', undefined)
      // Where no packet came through there is no way for this pair; what broke later is worth another attempt.
      if (stage === 'open' || stage === 'signalling' || stage === 'checking') return
    }
  }

  receive(number: number, signal: IceSignal): void {
    if (this.#attempt?.number === number) {
      this.#attempt.udp.receive(signal)
      return
    }
    const { offers, udp, budget } = this.#context
    if (signal.kind !== 'offer' || offers || !udp()) return
    if (budget.takeUdpOffer()) void this.#try(number, 'answerer', signal)
  }

  close(): void {
    this.#attempt?.udp.abort()
  }

  /** One attempt, sealed and attached; gives how far it came. */
  async #try(number: number, role: 'offerer' | 'answerer', offer: IceSignal | undefined): Promise<AttemptStage> {
    const { clock, log, sealer, peerId: peer, signal, stunServers, send, attach, onOutcome } = this.#context
    this.#attempt?.udp.abort()
    const { port, mapped, filtered } = this.#context.udp() ?? { port: undefined, mapped: undefined, filtered: true }
    const udp = startDatachannel({
      role,
      peer,
      stunServers: stunServers(),
      udpPort: port,
      mappedEndpoint: mapped,
      filtered,
      isOwnAddress: address => this.#context.isOwnAddress(address),
      send: words => send(number, words),
      clock,
      timeoutMs: ATTEMPT_MS,
      ...(this.#smallPackets ? { mtu: SMALL_MTU } : {}),
      signal,
      log,
    })
    const attempt = { number, udp }
    this.#attempt = attempt
    let made: DatachannelPath | undefined
    try {
      if (offer) udp.receive(offer)
      made = await udp.done
      const { stream } = await sealer.seal(made.stream, {
        role: role === 'offerer' ? 'client' : 'server',
        expected: peer,
        accept: () => true,
        signal,
      })
      stream.once('close', () => made?.close())
      const { how, local, remote } = made
      onOutcome(undefined)
      attach({ kind: 'udp', transport: 'datachannel', how, local, remote, peer, stream })
      return 'open'
    } catch (thrown) {
      made?.close()
      onOutcome(asCulvertError(thrown, 'peer-unreachable', 'udp'))
      // Both ends see it stop there, so both send smaller packets the next time.
      if (udp.stage === 'probing') this.#smallPackets = true
      return made ? 'securing' : udp.stage
    } finally {
      if (this.#attempt === attempt) this.#attempt = undefined
    }
  }
}
