import { isIPv4 } from 'node:net'
import { type Clock, deadline } from '../../../common/platform/clock.ts'
import type { Random } from '../../../common/platform/random.ts'
import { openUdpSocket } from '../../../common/platform/udp-socket.ts'
import {
  CHECKS_PER_LOOK,
  type ExternalAnswer,
  MAPPING_ABORTED,
  type MapOutcome,
  type MappingGateway,
  type MappingWish,
  type PortMapping,
} from '../port-mapper.ts'
import type { FoundDevice } from './gateway-search.ts'
import type { IgdClient } from './igd-client.ts'
import { firstMappingStep, type MappingEvent, type MappingStep, nextMappingStep } from './mapping-step.ts'
import { parseSsdp, SEARCH_TARGETS, SSDP_PORT, ssdpSearch } from './ssdp.ts'
import { describeUpnpFault } from './upnp-fault.ts'

/** Ours: below lie the ports that routers keep for themselves. */
const FIRST_SPARE_PORT = 20_000
const SPARES = 4
/** Ours: a gateway that answers searches sent to itself does so at once. */
const PING_MS = 1000
const NO_SUCH_ENTRY = 714

/** A UPnP gateway that answered. */
export class UpnpGateway implements MappingGateway {
  readonly protocol = 'upnp'
  readonly address: string
  readonly checkCost: 'datagram' | 'connection'
  readonly #client: IgdClient
  readonly #device: FoundDevice
  readonly #clock: Clock
  readonly #random: Random
  /**
   * A boot id is often the second of the start by the router's own clock, and a clock without a battery starts at the same
   * second each time, so the first check looks at the mapping itself.
   */
  #checksUntilLook = 0

  constructor(client: IgdClient, device: FoundDevice, doors: { readonly clock: Clock; readonly random: Random }) {
    this.address = device.address
    this.checkCost = device.bootId === undefined ? 'connection' : 'datagram'
    this.#client = client
    this.#device = device
    this.#clock = doors.clock
    this.#random = doors.random
  }

  async externalAddress(signal: AbortSignal): Promise<ExternalAnswer> {
    const answer = await this.#client.externalAddress(signal)
    if (signal.aborted) return MAPPING_ABORTED
    if (answer.kind === 'no-answer') return answer
    if (answer.kind === 'fault') {
      return { kind: 'refused', message: describeUpnpFault('to tell its outside address', answer.code) }
    }
    const address = answer.values.get('NewExternalIPAddress') ?? ''
    if (isIPv4(address) && address !== '0.0.0.0') return { kind: 'address', address }
    return { kind: 'refused', message: 'the router has no outside address; check its connection to the provider' }
  }

  async map(wish: MappingWish, signal: AbortSignal): Promise<MapOutcome> {
    const spares = Array.from({ length: SPARES }, () => this.#random.integer(FIRST_SPARE_PORT, 65_536))
    let step = firstMappingStep(wish, this.#client.localAddress, this.#client.canReserve, spares)
    for (;;) {
      if (step.name === 'done') return { kind: 'granted', mapping: step.mapping }
      if (step.name === 'failed') return step.refusal
      const event = await this.#act(step, signal)
      if (signal.aborted) return MAPPING_ABORTED
      step = nextMappingStep(step, event)
    }
  }

  async unmap(mapping: PortMapping, signal: AbortSignal): Promise<boolean> {
    const event = await this.#client.remove(mapping.protocol, mapping.externalPort, signal)
    return event.name === 'removed' || (event.name === 'fault' && event.code === NO_SUCH_ENTRY)
  }

  /**
   * One datagram each way: the router tells its boot id, which is another one after a restart. Routers that tell none,
   * and now and then the others, are asked for the first mapping itself, which takes a TCP connection.
   */
  async check(mappings: readonly PortMapping[], signal: AbortSignal): Promise<'kept' | 'lost' | 'no-answer'> {
    const known = this.#device.bootId
    const bootId = known === undefined ? undefined : await this.#askBootId(signal)
    if (bootId !== undefined && bootId !== known) return 'lost'
    if (bootId !== undefined && this.#checksUntilLook > 0) {
      this.#checksUntilLook--
      return 'kept'
    }
    const [mapping] = mappings
    if (!mapping) return (await this.externalAddress(signal)).kind === 'no-answer' ? 'no-answer' : 'kept'
    const event = await this.#client.look(mapping.protocol, mapping.externalPort, signal)
    if (event.name === 'no-answer') return 'no-answer'
    const ours = event.name === 'entry' && event.client === this.#client.localAddress
    if (!ours && (event.name !== 'fault' || event.code === NO_SUCH_ENTRY)) return 'lost'
    this.#checksUntilLook = CHECKS_PER_LOOK - 1
    return 'kept'
  }

  doubt(): void {
    this.#checksUntilLook = 0
  }

  #act(step: Exclude<MappingStep, { name: 'done' | 'failed' }>, signal: AbortSignal): Promise<MappingEvent> {
    const { wish, port, leaseS } = step.attempt
    if (step.name === 'looking') return this.#client.look(wish.protocol, port, signal)
    if (step.name === 'removing') return this.#client.remove(wish.protocol, port, signal)
    const mapping = { protocol: wish.protocol, internalPort: wish.internalPort, externalPort: port, leaseS }
    return step.name === 'adding'
      ? this.#client.add(mapping, wish.description, signal)
      : this.#client.reserve(mapping, wish.description, signal)
  }

  async #askBootId(signal: AbortSignal): Promise<number | undefined> {
    const limit = deadline(this.#clock, PING_MS, signal)
    try {
      await using socket = await openUdpSocket({ family: 4, address: this.#device.localAddress })
      if (limit.signal.aborted) return undefined
      return await new Promise<number | undefined>(resolve => {
        limit.signal.addEventListener('abort', () => resolve(undefined), { once: true })
        socket.receive((bytes, from) => {
          if (from.address === this.address) resolve(parseSsdp(bytes)?.bootId)
        })
        socket.send(ssdpSearch(SEARCH_TARGETS[0], undefined), { address: this.address, port: SSDP_PORT })
      })
    } catch {
      return undefined
    } finally {
      limit.done()
    }
  }
}
