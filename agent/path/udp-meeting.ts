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
import { sealUdxPath, type UdxPair } from './udx/udx-path.ts'

/** A nomination, or its answer, may be lost. */
const NOMINATE_MS = 50
/** Answers to one peer in one search; each is hardly larger than its question. */
const MAX_ANSWERS = 2_000

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

/** A port of ours and the other end that was heard there, with the stream that is to run between them. */
interface Pair {
  readonly port: UdpPort
  readonly remote: Endpoint
  readonly stream: UdxStream
  connected: boolean
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
  readonly #cookie: Uint8Array
  #pair: Pair | undefined
  #answers = 0

  constructor(options: UdpMeetingOptions) {
    this.#options = options
    this.#transaction = options.random.bytes(PROBE_ID_BYTES)
    this.#cookie = options.random.bytes(PROBE_ID_BYTES)
    this.#limit = deadline(options.clock, options.forMs, options.signal)
    this.#limit.signal.addEventListener('abort', () => this.#onLimit(), { once: true })
    this.#path.promise.catch(() => undefined)
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
      this.#send(port, remote, { kind: 'check', transaction: this.#transaction, aimedAt: remote.port })
    }
    return verdict
  }

  close(): void {
    this.#settle(new CulvertError('aborted', 'the search was ended'))
  }

  #receive(port: UdpPort, bytes: Buffer, from: Endpoint): void {
    const { keys, decides } = this.#options
    if (!probeTag(bytes)?.equals(keys.receive.tag)) return
    const message = openProbe(keys.receive, bytes)
    switch (message?.kind) {
      case 'check':
        this.#answer(port, from, message.transaction)
        return
      case 'answer':
        if (decides && sameBytes(message.transaction, this.#transaction)) this.#nominate(port, from, message.cookie)
        return
      case 'nominate':
        if (!decides && sameBytes(message.cookie, this.#cookie)) this.#accept(port, from, message)
        return
      case 'nominated':
        if (decides && sameBytes(message.transaction, this.#transaction)) this.#connect(port, from, message.stream)
        return
      case undefined:
        return
      default:
        message satisfies never
    }
  }

  #answer(port: UdpPort, from: Endpoint, transaction: Uint8Array): void {
    if (this.#answers++ >= MAX_ANSWERS) return
    this.#send(port, from, { kind: 'answer', transaction, cookie: this.#cookie, seen: from })
    // As RFC 8445 §7.3.1.4: where a check came from is worth one of ours.
    if (this.#options.decides && !this.over.aborted) this.check(port, from)
  }

  #nominate(port: UdpPort, remote: Endpoint, cookie: Uint8Array): void {
    const pair = this.#take(port, remote)
    if (!pair) return
    const again = () => {
      if (pair.connected || this.#limit.signal.aborted || !this.#ports.has(port)) return
      const { id } = pair.stream
      this.#send(port, remote, { kind: 'nominate', transaction: this.#transaction, cookie, stream: id, small: false })
      this.#options.clock.after(NOMINATE_MS, again)
    }
    again()
  }

  #accept(port: UdpPort, from: Endpoint, { transaction, stream }: Extract<ProbeMessage, { kind: 'nominate' }>): void {
    this.#take(port, from)
    this.#connect(port, from, stream)
    const pair = this.#pairOf(port, from)
    if (pair?.connected) this.#send(port, from, { kind: 'nominated', transaction, stream: pair.stream.id })
  }

  /** Settles on the pair; undefined when there is one already. */
  #take(port: UdpPort, remote: Endpoint): Pair | undefined {
    if (this.#pair || !this.#ports.has(port)) return undefined
    try {
      const stream = port.openStream(this.#options.random)
      stream.on('error', () => undefined)
      this.#pair = { port, remote, stream, connected: false }
      this.#over.abort()
      return this.#pair
    } catch (thrown) {
      this.#settle(asCulvertError(thrown, 'io', 'a UDX stream'))
      return undefined
    }
  }

  #pairOf(port: UdpPort, remote: Endpoint): Pair | undefined {
    const pair = this.#pair
    return pair?.port === port && sameEndpoint(pair.remote, remote) ? pair : undefined
  }

  #connect(port: UdpPort, remote: Endpoint, remoteStream: number): void {
    const pair = this.#pairOf(port, remote)
    if (!pair || pair.connected || this.#limit.signal.aborted) return
    pair.connected = true
    try {
      pair.stream.connect(remoteStream, remote)
    } catch (thrown) {
      this.#settle(asCulvertError(thrown, 'io', 'a UDX stream'))
      return
    }
    void this.#seal(pair)
  }

  async #seal({ port, remote, stream }: Pair): Promise<void> {
    const { sealer, peer, decides, signal } = this.#options
    // Who has met has time for the handshake.
    this.#limit.done()
    try {
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
    } catch (thrown) {
      this.#settle(asCulvertError(thrown, 'peer-unreachable', 'the pair of ports that met'))
    }
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

  #send(port: UdpPort, remote: Endpoint, message: ProbeMessage): void {
    const { keys, random } = this.#options
    port.send(sealProbe(keys.send, random.bytes(PROBE_NONCE_BYTES), message), remote)
  }
}
