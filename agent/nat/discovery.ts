import { reasonOf } from '../../common/errors.ts'
import type { Clock, Timer } from '../../common/platform/clock.ts'
import type { Log } from '../../common/platform/log.ts'
import type { InterfaceAddress } from '../../common/platform/network-interfaces.ts'
import type { Random } from '../../common/platform/random.ts'
import { type Endpoint, formatEndpoint } from '../../common/wire/endpoint.ts'
import type { MappingResult } from './behaviour.ts'
import { isFilteredBeyondRouter } from './beyond-router.ts'
import { isComplete, rediscoveryDelay, serversToAsk, versionsToAsk } from './discovery-schedule.ts'
import { checkNat, conclusion, type NatLook } from './nat-check.ts'
import { UNKNOWN_TCP } from './tcp-behaviour.ts'
import { type UdpBehaviour, UNKNOWN_UDP } from './udp-behaviour.ts'
import { UdpReturn } from './udp-return.ts'

const DOUBT_MS = 60_000

export interface DiscoveryOptions {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly interfaces: () => readonly InterfaceAddress[]
  /** A relay is reached over one of these IP versions: what brings no answer is then the network, and not all the servers. */
  readonly online: (versions: readonly number[]) => boolean
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
  /** Whether something beyond the first router of this network filters, too; undefined: not known. */
  #beyondRouter: boolean | undefined
  /** When the last look ended that found out something. */
  #knownAt: number | undefined
  /** What is known is of the network before. */
  #moved = true
  #failures = 0
  #running: AbortController | undefined
  #timer: Timer | undefined

  readonly #udpReturn: UdpReturn
  #doubtedAt = Number.NEGATIVE_INFINITY

  constructor(options: DiscoveryOptions) {
    this.#options = options
    this.#udpReturn = new UdpReturn({
      ...options,
      servers: () => serversToAsk(this.#servers, options.interfaces()).flat(),
      onAnswer: () => this.refresh(0),
    })
  }

  get udp(): UdpBehaviour {
    return this.#beyondRouter ? { ...this.#udp, filteredBeyondRouter: true } : this.#udp
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

  /** Milliseconds since the last look that found out something; undefined before it. */
  get ageMs(): number | undefined {
    return this.#knownAt === undefined ? undefined : this.#options.clock.now() - this.#knownAt
  }

  /** Asks again after `delayMs`, and when nobody answers then, nothing is known any more. */
  networkChanged(delayMs: number): void {
    this.#moved = true
    this.#beyondRouter = undefined
    this.refresh(delayMs)
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

  /** A relay came: its servers may answer where nobody did. */
  onRelay(): void {
    if (this.#failures > 0) this.doubt()
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
    try {
      const look = await checkNat({
        clock,
        random,
        signal: stop.signal,
        servers: this.#servers,
        addresses: interfaces(),
        onPart: ({ udp, tcp }) => this.#take(stop, { ...this.#udp, ...udp }, tcp ?? this.#tcp),
      })
      this.#conclude(stop, look)
      await this.#lookBeyondRouter(stop)
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

  #conclude(run: AbortController, look: NatLook | undefined): void {
    if (run.signal.aborted) return
    const { interfaces, online } = this.#options
    const known = this.#moved ? undefined : { udp: this.#udp, tcp: this.#tcp }
    const now = conclusion(look, known, online(versionsToAsk(this.#servers, interfaces())))
    if (now === look) {
      this.#moved = false
      this.#knownAt = this.#options.clock.now()
    }
    const { udp, tcp } = now ?? { udp: UNKNOWN_UDP, tcp: UNKNOWN_TCP }
    if (!now) this.#knownAt = undefined
    this.#take(run, udp, tcp)
    this.#failures = !look || (now === look && isComplete(udp, tcp)) ? 0 : this.#failures + 1
  }

  /** Once in each network, where a router alone would let in nothing but answers. */
  async #lookBeyondRouter(run: AbortController): Promise<void> {
    const { clock, random, interfaces } = this.#options
    const { mapping, filtering } = this.#udp
    const strict = mapping === 'endpoint-independent' && filtering === 'address-and-port-dependent'
    if (!strict || this.#beyondRouter !== undefined || run.signal.aborted) return
    const servers = serversToAsk(this.#servers, interfaces())[0] ?? []
    const found = await isFilteredBeyondRouter({ clock, random, signal: run.signal, servers })
    if (run.signal.aborted) return
    this.#beyondRouter = found
    this.#options.onChange()
  }

  /** Results of a run that was dropped are dropped with it. */
  #take(run: AbortController, udp: UdpBehaviour, tcp: MappingResult): void {
    if (run.signal.aborted) return
    this.#udp = udp
    this.#tcp = tcp
    this.#options.onChange()
  }
}
