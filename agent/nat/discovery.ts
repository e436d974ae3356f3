import { reasonOf } from '../../common/errors.ts'
import type { Clock, Timer } from '../../common/platform/clock.ts'
import type { Log } from '../../common/platform/log.ts'
import type { InterfaceAddress } from '../../common/platform/network-interfaces.ts'
import type { Random } from '../../common/platform/random.ts'
import { type Endpoint, formatEndpoint } from '../../common/wire/endpoint.ts'
import type { MappingResult } from './behaviour.ts'
import { isComplete, rediscoveryDelay, serversToAsk } from './discovery-schedule.ts'
import { discoverTcpBehaviour, UNKNOWN_TCP } from './tcp-behaviour.ts'
import { discoverUdpBehaviour, type UdpBehaviour, UNKNOWN_UDP } from './udp-behaviour.ts'
import { UdpReturn } from './udp-return.ts'

const DOUBT_MS = 60_000

export interface DiscoveryOptions {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly interfaces: () => readonly InterfaceAddress[]
  /** Somebody would have a direct path if more came through. */
  readonly wanted: () => boolean
  readonly onChange: () => void
}

/** Keeps what is known of the NAT up to date: on demand, soon after a failure, and every ten minutes. */
export class NatDiscovery {
  readonly #options: DiscoveryOptions
  #servers: readonly Endpoint[] = []
  #udp: UdpBehaviour = UNKNOWN_UDP
  #tcp: MappingResult = UNKNOWN_TCP
  #failures = 0
  #running: AbortController | undefined
  #timer: Timer | undefined

  readonly #udpReturn: UdpReturn
  #doubtedAt = Number.NEGATIVE_INFINITY

  constructor(options: DiscoveryOptions) {
    this.#options = options
    this.#udpReturn = new UdpReturn({
      ...options,
      servers: () => serversToAsk(this.#servers, options.interfaces()),
      onAnswer: () => this.refresh(0),
    })
  }

  get udp(): UdpBehaviour {
    return this.#udp
  }

  get tcp(): MappingResult {
    return this.#tcp
  }

  setServers(servers: readonly Endpoint[]): void {
    const same = servers.map(formatEndpoint).join() === this.#servers.map(formatEndpoint).join()
    this.#servers = servers
    // A relay that is welcomed again after a cut is a reason to look only when the last look failed.
    if (!same || this.#failures > 0) this.refresh(0)
  }

  /** Asks again after `delayMs`; what runs now is dropped, because it may have begun on the old network. */
  refresh(delayMs: number): void {
    this.#running?.abort()
    this.#running = undefined
    this.#failures = 0
    this.#schedule(delayMs)
  }

  /** A direct way that there should be, there is not: what is known may be out of date. Asks once a minute at most. */
  doubt(): void {
    const now = this.#options.clock.now()
    if (this.#running || now - this.#doubtedAt < DOUBT_MS) return
    this.#doubtedAt = now
    this.refresh(0)
  }

  close(): void {
    this.#timer?.cancel()
    this.#udpReturn.stop()
    this.#running?.abort()
    this.#servers = []
  }

  #schedule(delayMs: number): void {
    this.#timer?.cancel()
    if (this.#servers.length > 0) this.#timer = this.#options.clock.after(delayMs, () => void this.#run())
  }

  async #run(): Promise<void> {
    const { clock, random, interfaces, log } = this.#options
    const stop = new AbortController()
    this.#running = stop
    const addresses = interfaces()
    const shared = {
      clock,
      random,
      signal: stop.signal,
      servers: serversToAsk(this.#servers, addresses),
      localAddresses: addresses.map(({ address }) => address),
    }
    try {
      const [udp, tcp] = await Promise.all([
        discoverUdpBehaviour({
          ...shared,
          // Never the agent's own port: a data channel that wants it in this moment would fail.
          localPort: 0,
          onAddress: address => this.#take(stop, { ...this.#udp, address }, this.#tcp),
          onMapping: mapping => this.#take(stop, { ...this.#udp, ...mapping }, this.#tcp),
        }),
        discoverTcpBehaviour(shared).then(tcp => {
          this.#take(stop, this.#udp, tcp)
          return tcp
        }),
      ])
      this.#take(stop, udp, tcp)
      this.#failures = isComplete(udp, tcp) ? 0 : this.#failures + 1
    } catch (thrown) {
      this.#failures++
      log.warn('looking at the NAT failed', { reason: reasonOf(thrown) })
    }
    if (this.#running !== stop) return
    this.#running = undefined
    if (this.#udp.mapping === 'blocked') this.#udpReturn.start()
    else this.#udpReturn.stop()
    this.#schedule(rediscoveryDelay(this.#failures))
  }

  /** Results of a run that was dropped are dropped with it. */
  #take(run: AbortController, udp: UdpBehaviour, tcp: MappingResult): void {
    if (run.signal.aborted) return
    this.#udp = udp
    this.#tcp = tcp
    this.#options.onChange()
  }
}
