import { asCulvertError, CulvertError } from '../../common/errors.ts'
import { type Clock, deadline } from '../../common/platform/clock.ts'
import type { Random } from '../../common/platform/random.ts'
import type { UdxStream } from '../../common/platform/udx-stream.ts'
import { sameBytes } from '../../common/wire/bytes.ts'
import { type Endpoint, sameEndpoint } from '../../common/wire/endpoint.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import {
  openProbe,
  PROBE_ID_BYTES,
  PROBE_NONCE_BYTES,
  type ProbeKeys,
  type ProbeMessage,
  probeTag,
  sealProbe,
} from '../../common/wire/probe.ts'
import type { ProbeBudget, ProbeVerdict } from '../nat/probe-budget.ts'
import type { UdpPort } from '../nat/udp-port.ts'
import type { Path } from './path.ts'
import type { Sealer } from './seal.ts'
import { isNominationFull, UdxNomination } from './udx/udx-nomination.ts'
import { sealUdxPath, type UdxPair } from './udx/udx-path.ts'

/** Answers to one peer in one search; each is hardly larger than its question. */
const MAX_ANSWERS = 2_000
/** An honest peer nominates once, and once more with small packets. */
const MAX_STREAMS = 4
/** Where an answer comes from a port that nothing was sent to. */
const UNKNOWN_RTT_MS = 400

export interface UdpMeetingOptions {
  readonly peer: PeerId
  /** One side alone decides which pair of ports is taken, and is the TLS client. */
  readonly decides: boolean
  readonly keys: ProbeKeys
  readonly forMs: number
  readonly sealer: Sealer
  readonly budget: ProbeBudget
  readonly clock: Clock
  readonly random: Random
  readonly signal: AbortSignal
}

/** A port of ours and the other end that was heard there. */
interface Pair {
  readonly port: UdpPort
  readonly remote: Endpoint
}

/**
 * Two peers find a pair of UDP ports between which packets pass both ways: each sends checks from its ports to where the
 * other may be, and answers those that it hears. The deciding side takes the first pair that answers, and a UDX stream
 * runs there; the other ports are closed.
 */
export class UdpMeeting {
  readonly #options: UdpMeetingOptions
  readonly #limit: ReturnType<typeof deadline>
  readonly #over = new AbortController()
  readonly #path = Promise.withResolvers<Path>()
  readonly #ports = new Set<UdpPort>()
  readonly #transaction: Uint8Array
  readonly #nomination: UdxNomination
  /** When each port of the peer was sent a check last. */
  readonly #checkedAt = new Map<number, number>()
  #pair: Pair | undefined
  #answers = 0
  #streams = 0
  /** The stream that the peer nominated last. */
  #accepted: UdxStream | undefined

  constructor(options: UdpMeetingOptions) {
    this.#options = options
    this.#transaction = options.random.bytes(PROBE_ID_BYTES)
    this.#limit = deadline(options.clock, options.forMs, options.signal)
    this.#nomination = new UdxNomination({
      clock: options.clock,
      random: options.random,
      signal: this.#limit.signal,
      budget: {
        takeProbeAnswer: () => this.#answers++ < MAX_ANSWERS,
        takeUdpOffer: () => this.#streams++ < MAX_STREAMS,
      },
      send: (message, to, port, bytes) => this.#send(port, to, message, bytes),
    })
    this.#path.promise.catch(() => undefined)
    this.#limit.signal.addEventListener('abort', () => this.#onLimit(), { once: true })
    // One that was stopped before it began hears nothing of that any more.
    if (this.#limit.signal.aborted) this.#onLimit()
  }

  /** The sealed path; rejects with `timed-out`, `aborted`, or what the proof failed of. */
  get path(): Promise<Path> {
    return this.#path.promise
  }

  /** Aborts as soon as no check need be sent any more: a pair was found, time is up, or it was closed. */
  get over(): AbortSignal {
    return this.#over.signal
  }

  /** Takes a port over; it is closed at the end unless the path runs on it. */
  add(port: UdpPort): void {
    if (this.over.aborted) {
      void port.close()
      return
    }
    this.#ports.add(port)
    port.onProbe((bytes, from) => this.#receive(port, bytes, from))
  }

  /** Sends a check, if the budget lets it. */
  check(port: UdpPort, remote: Endpoint): ProbeVerdict {
    const verdict = this.#options.budget.take(port.local.port, remote)
    if (verdict === 'send') {
      // The budget bounds what is remembered, too.
      if (this.#options.decides) this.#checkedAt.set(remote.port, this.#options.clock.now())
      this.#send(port, remote, { kind: 'check', transaction: this.#transaction, aimedAt: remote.port })
    }
    return verdict
  }

  close(): void {
    this.#settle(new CulvertError('aborted', 'the search was ended'))
  }

  #receive(port: UdpPort, bytes: Buffer, from: Endpoint): void {
    const { keys, decides } = this.#options
    if (!this.#ports.has(port) || !probeTag(bytes)?.equals(keys.receive.tag)) return
    const message = openProbe(keys.receive, bytes)
    switch (message?.kind) {
      case 'check':
        this.#answer(port, from, message.transaction)
        return
      case 'answer':
        if (decides && sameBytes(message.transaction, this.#transaction))
          void this.#nominate(port, from, message.cookie)
        return
      case 'nominate':
        if (!decides && isNominationFull(message, bytes.length)) this.#accept(port, from, message)
        return
      case 'nominated':
        if (decides) this.#nomination.answered(message, from)
        return
      case undefined:
        return
      default:
        message satisfies never
    }
  }

  #answer(port: UdpPort, from: Endpoint, transaction: Uint8Array): void {
    if (this.#answers++ >= MAX_ANSWERS) return
    this.#send(port, from, { kind: 'answer', transaction, cookie: this.#nomination.cookie, seen: from })
    // As RFC 8445 §7.3.1.4: where a check came from is worth one of ours.
    if (this.#options.decides && !this.over.aborted) this.check(port, from)
  }

  /** The first pair that answers is taken. */
  async #nominate(port: UdpPort, endpoint: Endpoint, cookie: Uint8Array): Promise<void> {
    if (this.#pair || this.over.aborted) return
    const pair = { port, remote: endpoint }
    this.#take(pair)
    const now = this.#options.clock.now()
    const rttMs = now - (this.#checkedAt.get(endpoint.port) ?? now - UNKNOWN_RTT_MS)
    try {
      await this.#seal(pair, await this.#nomination.nominate({ endpoint, answer: { rttMs, cookie } }, port))
    } catch (thrown) {
      this.#settle(asCulvertError(thrown, 'peer-unreachable', 'the pair of ports that met'))
    }
  }

  #accept(port: UdpPort, from: Endpoint, message: Extract<ProbeMessage, { kind: 'nominate' }>): void {
    const pair = this.#pair ?? { port, remote: from }
    if (pair.port !== port || !sameEndpoint(pair.remote, from) || this.#limit.signal.aborted) return
    let stream: UdxStream | undefined
    try {
      stream = this.#nomination.accept(message, from, port)
    } catch (thrown) {
      this.#settle(asCulvertError(thrown, 'io', 'a UDX stream'))
      return
    }
    if (!stream) return
    this.#take(pair)
    this.#accepted = stream
    this.#seal(pair, stream).catch((thrown: unknown) => {
      // Another one with small packets may have taken its place.
      if (this.#accepted === stream)
        this.#settle(asCulvertError(thrown, 'peer-unreachable', 'the pair of ports that met'))
    })
  }

  #take(pair: Pair): void {
    this.#pair = pair
    this.#over.abort()
  }

  async #seal({ port, remote }: Pair, stream: UdxStream): Promise<void> {
    const { sealer, peer, decides, signal } = this.#options
    // Who has met has time for the handshake.
    this.#limit.done()
    // The deciding side hears last that the other one is connected, so it is the one that may write first.
    const role = decides ? 'client' : 'server'
    const pair: UdxPair = { peer, port, remote, stream, how: 'punched', local: port.local, role }
    const path = await sealUdxPath(pair, { sealer, signal })
    if (!this.#ports.delete(port)) {
      path.stream.destroy()
      return
    }
    path.stream.once('close', () => void port.close())
    this.#path.resolve(path)
    this.#settle(undefined)
  }

  #onLimit(): void {
    const { signal, forMs } = this.#options
    if (signal.aborted) this.#settle(new CulvertError('aborted', 'the search was aborted'))
    else this.#settle(new CulvertError('timed-out', `no two ports met over UDP in ${forMs} ms`))
  }

  #settle(error: CulvertError | undefined): void {
    if (error) this.#path.reject(error)
    this.#over.abort()
    this.#limit.done()
    for (const port of this.#ports) void port.close()
    this.#ports.clear()
  }

  #send(port: UdpPort, remote: Endpoint, message: ProbeMessage, bytes?: number): void {
    const { keys, random } = this.#options
    if (this.#ports.has(port)) port.send(sealProbe(keys.send, random.bytes(PROBE_NONCE_BYTES), message, bytes), remote)
  }
}
