import { CulvertError } from '../../../common/errors.ts'
import { type Clock, pause } from '../../../common/platform/clock.ts'
import type { Random } from '../../../common/platform/random.ts'
import type { UdxStream } from '../../../common/platform/udx-stream.ts'
import { sameBytes } from '../../../common/wire/bytes.ts'
import { type Endpoint, formatEndpoint, sameEndpoint } from '../../../common/wire/endpoint.ts'
import { PROBE_ID_BYTES, type ProbeMessage } from '../../../common/wire/probe.ts'
import type { UdpPort } from '../../nat/udp-port.ts'

/** A packet of UDX at its first size, 1,200 bytes with IPv4: where this is lost, so would be the stream. */
const FULL_BYTES = 1_172
/** Tries with full packets: three losses in a row are a line that swallows them. */
const FULL_TRIES = 3
const TRIES = 8
const MIN_WAIT_MS = 80

type Nominate = Extract<ProbeMessage, { kind: 'nominate' }>
type Nominated = Extract<ProbeMessage, { kind: 'nominated' }>

export interface NominationContext {
  readonly clock: Clock
  readonly random: Random
  /** What the peer may have us do. */
  readonly budget: { takeUdpOffer(): boolean; takeProbeAnswer(): boolean }
  readonly signal: AbortSignal
  send(message: ProbeMessage, to: Endpoint, port: UdpPort, bytes?: number): void
}

/** Where the peer answered a check of ours. */
export interface AnsweredEnd {
  readonly endpoint: Endpoint
  readonly answer: { readonly rttMs: number; readonly cookie: Uint8Array }
}

/** Our answer to a full one is as long, and goes where it came from, which may be forged: it must not be the longer one. */
export function isNominationFull({ small }: Nominate, bytes: number): boolean {
  return small || bytes >= FULL_BYTES
}

/** How two peers agree on one pair of ports and on the ends of a UDX stream between them. */
export class UdxNomination {
  readonly #context: NominationContext
  /** What the next nomination has to bring, so that an old one that somebody kept is worth nothing. */
  #cookie: Uint8Array
  #waiting: { readonly transaction: Uint8Array; readonly from: Endpoint; settle(message: Nominated): void } | undefined
  /** The nomination that was taken last, and our answer to it. */
  #taken: { readonly nominate: Nominate; readonly from: Endpoint; readonly stream: UdxStream } | undefined

  constructor(context: NominationContext) {
    this.#context = context
    this.#cookie = context.random.bytes(PROBE_ID_BYTES)
  }

  get cookie(): Uint8Array {
    return this.#cookie
  }

  /** The leading side: proposes a pair until the peer takes it. The stream is connected; so is the peer's end of it. */
  async nominate(pair: AnsweredEnd, port: UdpPort): Promise<UdxStream> {
    const { random, clock, signal, send } = this.#context
    const stream = port.openStream(random)
    const { endpoint, answer } = pair
    const transaction = random.bytes(PROBE_ID_BYTES)
    const came = Promise.withResolvers<Nominated>()
    let taken: Nominated | undefined
    const answered = new AbortController()
    const settle = (message: Nominated) => {
      taken ??= message
      came.resolve(message)
      answered.abort()
    }
    const waiting = { transaction, from: endpoint, settle }
    this.#waiting = waiting
    const wake = AbortSignal.any([signal, answered.signal])
    let small = false
    try {
      for (let tries = 0; tries < TRIES && !taken && !signal.aborted; tries++) {
        small = tries >= FULL_TRIES
        const message = { kind: 'nominate', transaction, cookie: answer.cookie, stream: stream.id, small } as const
        send(message, endpoint, port, small ? undefined : FULL_BYTES)
        await pause(clock, Math.max(MIN_WAIT_MS, answer.rttMs * 1.5 + 20) * (1 + tries / 4), wake)
      }
      if (!taken) throw new CulvertError('timed-out', `${formatEndpoint(endpoint)} did not take up the UDX stream`)
      stream.connect(taken.stream, endpoint, small)
      return stream
    } catch (thrown) {
      stream.destroy()
      throw thrown
    } finally {
      if (this.#waiting === waiting) this.#waiting = undefined
    }
  }

  /** The peer's answer came. */
  answered(message: Nominated, from: Endpoint): void {
    const waiting = this.#waiting
    if (!waiting || !sameEndpoint(waiting.from, from)) return
    if (sameBytes(waiting.transaction, message.transaction)) waiting.settle(message)
  }

  /** The other side: takes the pair, and gives our end of the stream; undefined for one that is taken or worth nothing. */
  accept(message: Nominate, from: Endpoint, port: UdpPort): UdxStream | undefined {
    const { random, budget } = this.#context
    const again = this.#taken && sameBytes(this.#taken.nominate.transaction, message.transaction)
    if (again && this.#taken && !sameEndpoint(this.#taken.from, from)) return undefined
    if (again && this.#taken?.nominate.small === message.small) {
      if (!budget.takeProbeAnswer()) return undefined
      this.#answer(message, this.#taken.stream, from, port)
      return undefined
    }
    if (!again && !sameBytes(message.cookie, this.#cookie)) return undefined
    if (!budget.takeUdpOffer()) return undefined
    // Our answer of full size was lost, so both ends take small packets.
    if (again) this.#taken?.stream.destroy()
    this.#cookie = random.bytes(PROBE_ID_BYTES)
    const stream = port.openStream(random)
    stream.on('error', () => undefined)
    stream.connect(message.stream, from, message.small)
    this.#taken = { nominate: message, from, stream }
    this.#answer(message, stream, from, port)
    return stream
  }

  #answer({ transaction, small }: Nominate, stream: UdxStream, to: Endpoint, port: UdpPort): void {
    const bytes = small ? undefined : FULL_BYTES
    this.#context.send({ kind: 'nominated', transaction, stream: stream.id }, to, port, bytes)
  }
}
