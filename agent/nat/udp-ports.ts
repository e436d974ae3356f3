import { CulvertError, reasonOf } from '../../common/errors.ts'
import type { Clock } from '../../common/platform/clock.ts'
import type { Log } from '../../common/platform/log.ts'
import type { Random } from '../../common/platform/random.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import { probeTag } from '../../common/wire/probe.ts'
import { QUICK_RETRANSMISSION, stunRequest } from './stun-client.ts'
import { UdpPort } from './udp-port.ts'

/** Under the 30 s after which many NATs forget a UDP mapping (RFC 4787 §4.3 asks for two minutes). */
const OUTSIDE_FRESH_MS = 20_000
/** Several peers that need it at once are one question. */
const ASK_AGAIN_MS = 1_000
/** Servers asked at once; the first answer counts. */
const MAX_SERVERS = 2

export type ProbeReceiver = (packet: Buffer, from: Endpoint, port: UdpPort) => void

export interface UdpPortsOptions {
  readonly port: number
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** The answer to a relay that looks whether the port is open from outside. */
  readonly answerToReach?: (content: Uint8Array) => Uint8Array | undefined
}

/** The agent's own UDP port, for IPv4 and, where the machine has it, IPv6. */
export class UdpPorts implements AsyncDisposable {
  readonly #options: UdpPortsOptions
  readonly #v4: UdpPort
  readonly #v6: UdpPort | undefined
  /** Who waits for probes, by their tag. */
  readonly #receivers = new Map<string, ProbeReceiver>()
  #outside: { readonly endpoint: Endpoint; readonly seenAt: number } | undefined
  #asking: Promise<Endpoint | undefined> | undefined
  readonly #stop = new AbortController()

  /** Binds them; `port-in-use` when it is taken for IPv4. */
  static async open(options: UdpPortsOptions): Promise<UdpPorts> {
    const v4 = await UdpPort.open({ family: 4, port: options.port })
    let v6: UdpPort | undefined
    try {
      v6 = await UdpPort.open({ family: 6, port: v4.local.port })
    } catch (thrown) {
      options.log.debug('no IPv6 on the UDP port', { reason: reasonOf(thrown) })
    }
    return new UdpPorts(options, v4, v6)
  }

  private constructor(options: UdpPortsOptions, v4: UdpPort, v6: UdpPort | undefined) {
    this.#options = options
    this.#v4 = v4
    this.#v6 = v6
    for (const port of [v4, v6]) {
      port?.onProbe((packet, from) => this.#onProbe(packet, from, port))
      if (options.answerToReach) port?.onReach(options.answerToReach)
    }
  }

  get number(): number {
    return this.#v4.local.port
  }

  /** The port that reaches this address. */
  portFor(endpoint: Endpoint): UdpPort | undefined {
    return endpoint.address.includes(':') ? this.#v6 : this.#v4
  }

  /** Calls the receiver for probes with this tag, on either port, until the returned function is called. */
  expectProbes(tag: Buffer, receiver: ProbeReceiver): () => void {
    const key = tag.toString('hex')
    this.#receivers.set(key, receiver)
    return () => {
      if (this.#receivers.get(key) === receiver) this.#receivers.delete(key)
    }
  }

  /** Our outside endpoint as a STUN server saw it a moment ago; a NAT may have forgotten an older one. */
  get outside(): Endpoint | undefined {
    const { clock } = this.#options
    const fresh = this.#outside && clock.now() - this.#outside.seenAt < OUTSIDE_FRESH_MS
    return fresh ? this.#outside?.endpoint : undefined
  }

  /** Asks for it, as a NAT may have drawn another since; undefined when nobody answers. One question serves all peers. */
  async learnOutside(servers: readonly Endpoint[]): Promise<Endpoint | undefined> {
    const { clock } = this.#options
    if (this.#outside && clock.now() - this.#outside.seenAt < ASK_AGAIN_MS) return this.#outside.endpoint
    this.#asking ??= this.#ask(servers).finally(() => {
      this.#asking = undefined
    })
    return this.#asking
  }

  async close(): Promise<void> {
    this.#stop.abort()
    this.#receivers.clear()
    await Promise.all([this.#v4.close(), this.#v6?.close()])
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #ask(servers: readonly Endpoint[]): Promise<Endpoint | undefined> {
    const { clock, random } = this.#options
    const stop = new AbortController()
    const asked = servers.filter(({ address }) => !address.includes(':')).slice(0, MAX_SERVERS)
    const requests = asked.map(async server => {
      const options = { clock, random, signal: AbortSignal.any([this.#stop.signal, stop.signal]) }
      const outcome = await stunRequest(this.#v4.stun, server, { ...options, retransmission: QUICK_RETRANSMISSION })
      if (outcome.kind !== 'answered') throw new CulvertError('relay-unreachable', `no STUN answer: ${outcome.kind}`)
      return outcome.outside
    })
    try {
      const endpoint = await Promise.any(requests)
      stop.abort()
      this.#outside = { endpoint, seenAt: clock.now() }
      return endpoint
    } catch {
      return undefined
    }
  }

  #onProbe(packet: Buffer, from: Endpoint, port: UdpPort): void {
    const tag = probeTag(packet)
    if (tag) this.#receivers.get(tag.toString('hex'))?.(packet, from, port)
  }
}
