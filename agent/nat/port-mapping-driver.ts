import { reasonOf } from '../../common/errors.ts'
import { type Clock, deadline, type Timer } from '../../common/platform/clock.ts'
import type { Log } from '../../common/platform/log.ts'
import { formatEndpoint } from '../../common/wire/endpoint.ts'
import type { DefaultGateway } from './default-gateway.ts'
import type { ExternalAnswer, MapOutcome, MappingGateway, PortMapper } from './port-mapper.ts'
import { advancePortMapping, LEASE_S, nextPortMappingAt, startPortMapping } from './port-mapping.ts'
import { type PortMappingReport, portMappingReport } from './port-mapping-report.ts'
import {
  heldMapping,
  type MappedProtocol,
  type PortMappingAction,
  type PortMappingEvent,
  type PortMappingState,
  type PortMappingStep,
} from './port-mapping-state.ts'

export interface PortMappingOptions {
  readonly clock: Clock
  readonly log: Log
  readonly mapper: PortMapper
  readonly gateways: () => readonly DefaultGateway[]
  readonly ports: Readonly<Record<MappedProtocol, number>>
  /** What the router is asked for; without it both. */
  readonly wanted?: ReadonlySet<MappedProtocol>
  /** Shown in the router's own pages. */
  readonly description: string
  readonly onChange: () => void
}

/** Ours: an agent that stops must not wait for a router that does not answer. */
const CLOSE_MS = 1000

/** Carries out what `port-mapping.ts` decides: searches, asks, looks, and takes everything back at the end. */
export class PortMappingKeeper {
  readonly #options: PortMappingOptions
  #state: PortMappingState
  #gateway: MappingGateway | undefined
  #search = new AbortController()
  #asks = new AbortController()
  readonly #asking = new Set<Promise<void>>()
  #listener: Disposable | undefined
  #timer: Timer | undefined
  #closed = false

  constructor(options: PortMappingOptions) {
    this.#options = options
    const first = startPortMapping(options.clock.now(), options.wanted)
    this.#state = first.state
    this.#take(first)
  }

  report(): PortMappingReport {
    return portMappingReport(this.#state, this.#gateway?.protocol, this.#options.ports)
  }

  /** Something changed on this machine's network: looks for the router again and renews what it has. */
  networkChanged(): void {
    this.#on({ name: 'network' })
  }

  /** Deletes what the router has for us; over after one second at the latest. */
  async close(): Promise<void> {
    this.#closed = true
    this.#timer?.cancel()
    this.#search.abort()
    this.#listenTo(undefined)
    const limit = deadline(this.#options.clock, CLOSE_MS)
    const over = new Promise<void>(resolve => limit.signal.addEventListener('abort', () => resolve()))
    await Promise.race([Promise.all([...this.#asking]).then(() => this.#unmapAll(limit.signal)), over])
    limit.done()
    this.#asks.abort()
  }

  async #unmapAll(signal: AbortSignal): Promise<void> {
    const gateway = this.#gateway
    if (!gateway) return
    const held = [this.#state.tcp, this.#state.udp].flatMap(entry => heldMapping(entry) ?? [])
    await Promise.all(held.map(mapping => gateway.unmap(mapping, signal)))
  }

  #on(event: PortMappingEvent): void {
    this.#take(advancePortMapping(this.#state, event, this.#options.clock.now()))
  }

  #take({ state, actions }: PortMappingStep): void {
    const changed = state !== this.#state
    this.#state = state
    if (this.#closed) return
    for (const action of actions) this.#act(action)
    this.#timer?.cancel()
    const at = nextPortMappingAt(state)
    if (Number.isFinite(at)) {
      const delayMs = Math.max(0, at - this.#options.clock.now())
      this.#timer = this.#options.clock.after(delayMs, () => this.#on({ name: 'tick' }))
    }
    if (changed) this.#options.onChange()
  }

  #act(action: PortMappingAction): void {
    switch (action.name) {
      case 'search':
        this.#search.abort()
        this.#asks.abort()
        this.#search = new AbortController()
        this.#asks = new AbortController()
        void this.#find(this.#search.signal)
        return
      case 'check':
        void this.#check(this.#search.signal)
        return
      case 'ask': {
        const asking = this.#ask(action.protocol, action.wasPort, this.#asks.signal).finally(() => {
          this.#asking.delete(asking)
        })
        this.#asking.add(asking)
        return
      }
      default:
        action satisfies never
    }
  }

  async #find(signal: AbortSignal): Promise<void> {
    const { mapper, gateways, log } = this.#options
    this.#listenTo(
      mapper.listen(gateways(), news => {
        if (news.kind === 'announced') this.#gateway?.doubt()
        this.#on({ name: 'news', ...news })
      }),
    )
    try {
      const gateway = await mapper.find(gateways(), signal)
      const external = await gateway?.externalAddress(signal)
      if (signal.aborted) return
      if (gateway && external) {
        const { protocol, address, checkCost } = gateway
        this.#gateway = gateway
        log.debug('router found', { protocol, router: address, external: this.#external(external) })
        this.#on({ name: 'found', address, external, checkCost })
        return
      }
    } catch (thrown) {
      log.warn('the search for the router failed', { reason: reasonOf(thrown) })
      if (signal.aborted) return
    }
    this.#on({ name: 'not-found' })
  }

  #external(external: ExternalAnswer): string {
    switch (external.kind) {
      case 'address':
        return external.address
      case 'untold':
        return 'told with each mapping'
      default:
        return external.message
    }
  }

  async #check(signal: AbortSignal): Promise<void> {
    const held = [this.#state.tcp, this.#state.udp].flatMap(entry => heldMapping(entry) ?? [])
    const result = (await this.#gateway?.check(held, signal)) ?? 'no-answer'
    if (signal.aborted) return
    if (result !== 'kept') this.#options.log.debug('the router was asked after our ports', { result })
    this.#on({ name: 'checked', result })
  }

  async #ask(protocol: MappedProtocol, wasPort: number | undefined, signal: AbortSignal): Promise<void> {
    const { ports, description, log } = this.#options
    const internalPort = ports[protocol]
    const wish = { protocol, internalPort, externalPort: wasPort ?? internalPort, leaseS: LEASE_S, description }
    const outcome: MapOutcome = (await this.#gateway?.map(wish, signal)) ?? {
      kind: 'no-answer',
      message: 'there is no router to ask',
    }
    this.#logOutcome(protocol, outcome)
    this.#on({ name: 'answered', protocol, outcome })
    if (outcome.kind === 'refused') log.warn(outcome.message)
  }

  #logOutcome(protocol: MappedProtocol, outcome: MapOutcome): void {
    if (outcome.kind !== 'granted') return
    const { externalPort: port, leaseS } = outcome.mapping
    const address = this.#state.last?.external.kind === 'address' ? this.#state.last.external.address : '?'
    this.#options.log.debug('the router opened a port', { protocol, at: formatEndpoint({ address, port }), leaseS })
  }

  #listenTo(listener: Disposable | undefined): void {
    this.#listener?.[Symbol.dispose]()
    this.#listener = listener
  }
}
