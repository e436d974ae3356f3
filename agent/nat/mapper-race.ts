import { type Clock, deadline, pause } from '../../common/platform/clock.ts'
import type { DefaultGateway } from './default-gateway.ts'
import type {
  ExternalAnswer,
  GatewayNews,
  MapOutcome,
  MapperProtocol,
  MappingGateway,
  MappingRefusal,
  MappingWish,
  PortMapper,
  PortMapping,
} from './port-mapper.ts'
import { MAPPING_ABORTED } from './port-mapper.ts'

/** Ours: on most LANs the preferred protocol has answered by then, and the next one need not be tried at all. */
const HEAD_START_MS = 150
/** Ours: what another protocol holds is taken back first, but not at any price. */
const TAKE_BACK_MS = 1_500

/** A mapping that the router has for us, and by which protocol: two protocols must not keep one each. */
interface Held {
  readonly gateway: MappingGateway
  readonly mapping: PortMapping
}

/**
 * Several mappers as one, the preferred first. Each gets a head start over the next; the best that answers is used, and
 * the others only for what it refuses.
 */
export class MapperRace implements PortMapper {
  readonly #clock: Clock
  readonly #mappers: readonly PortMapper[]
  readonly #held = new Map<'tcp' | 'udp', Held>()

  constructor(clock: Clock, mappers: readonly PortMapper[]) {
    this.#clock = clock
    this.#mappers = mappers
  }

  async find(gateways: readonly DefaultGateway[], signal: AbortSignal): Promise<MappingGateway | undefined> {
    const searches = new Map<PortMapper, Promise<MappingGateway | undefined>>()
    const search = (mapper: PortMapper) => {
      const running = searches.get(mapper) ?? mapper.find(gateways, signal)
      searches.set(mapper, running)
      return running
    }
    for (const [i, mapper] of this.#mappers.entries()) {
      // By now the mappers before have answered, or are still searching beside this one.
      const better = this.#mappers.slice(0, i).map(search)
      const found = await firstFound(
        [...better, search(mapper)],
        i === this.#mappers.length - 1 ? undefined : this.#clock,
      )
      if (!found) continue
      const others = () => Promise.all(this.#mappers.map(search)).then(all => all.filter(other => other !== undefined))
      return new RacedGateway(found, others, this.#held, this.#clock)
    }
    return undefined
  }

  listen(gateways: readonly DefaultGateway[], onNews: (news: GatewayNews) => void): Disposable {
    const listeners = this.#mappers.map(mapper => mapper.listen(gateways, onNews))
    return {
      [Symbol.dispose]: () => {
        for (const listener of listeners) listener[Symbol.dispose]()
      },
    }
  }
}

/** The first of these searches that finds something; undefined when all are over, or the head start is. */
async function firstFound(
  searches: readonly Promise<MappingGateway | undefined>[],
  clock: Clock | undefined,
): Promise<MappingGateway | undefined> {
  const found = Promise.any(
    searches.map(async search => {
      const gateway = await search
      if (!gateway) throw NOTHING
      return gateway
    }),
  ).catch(() => undefined)
  if (!clock) return found
  const late = new AbortController()
  const first = await Promise.race([found, pause(clock, HEAD_START_MS, late.signal).then(() => undefined)])
  late.abort()
  return first
}

const NOTHING = new Error('nothing found')

/** The best protocol of one router, with the others behind it. */
class RacedGateway implements MappingGateway {
  readonly address: string
  readonly checkCost: 'datagram' | 'connection'
  readonly #best: MappingGateway
  readonly #all: () => Promise<readonly MappingGateway[]>
  readonly #held: Map<'tcp' | 'udp', Held>
  /** Which of them opened what, since this router was found. */
  readonly #holders = new Map<'tcp' | 'udp', MappingGateway>()
  readonly #clock: Clock

  constructor(
    best: MappingGateway,
    all: () => Promise<readonly MappingGateway[]>,
    held: Map<'tcp' | 'udp', Held>,
    clock: Clock,
  ) {
    this.address = best.address
    this.checkCost = best.checkCost
    this.#best = best
    this.#all = all
    this.#held = held
    this.#clock = clock
  }

  /** By which the router opened what it opened. */
  get protocol(): MapperProtocol {
    return (this.#held.get('tcp') ?? this.#held.get('udp'))?.gateway.protocol ?? this.#best.protocol
  }

  externalAddress(signal: AbortSignal): Promise<ExternalAnswer> {
    return this.#best.externalAddress(signal)
  }

  async map(wish: MappingWish, signal: AbortSignal): Promise<MapOutcome> {
    // Renewed by who granted it: to ask the best again, it would have to be taken back first, each time.
    const holder = this.#holders.get(wish.protocol)
    if (holder && holder === this.#held.get(wish.protocol)?.gateway) {
      const renewed = await this.#mapBy(holder, wish, signal)
      if (renewed.kind !== 'refused') return renewed
    }
    const first = await this.#mapBy(this.#best, wish, signal)
    if (first.kind !== 'refused') return first
    const refusals: MappingRefusal[] = [first]
    for (const gateway of await this.#all()) {
      if (signal.aborted) return MAPPING_ABORTED
      if (gateway === this.#best) continue
      const outcome = await this.#mapBy(gateway, wish, signal)
      if (outcome.kind === 'granted') return outcome
      if (outcome.kind === 'refused') refusals.push(outcome)
    }
    // The last one is UPnP's, whose switch most routers have in their pages.
    return refusals.at(-1) ?? first
  }

  async unmap(mapping: PortMapping, signal: AbortSignal): Promise<boolean> {
    const held = this.#held.get(mapping.protocol)
    this.#held.delete(mapping.protocol)
    return (held?.gateway ?? this.#best).unmap(mapping, signal)
  }

  async check(mappings: readonly PortMapping[], signal: AbortSignal): Promise<'kept' | 'lost' | 'no-answer'> {
    if (mappings.length === 0) return this.#best.check([], signal)
    const holders = new Map<MappingGateway, PortMapping[]>()
    for (const mapping of mappings) {
      const holder = this.#held.get(mapping.protocol)?.gateway ?? this.#best
      holders.set(holder, [...(holders.get(holder) ?? []), mapping])
    }
    const results = await Promise.all([...holders].map(([holder, held]) => holder.check(held, signal)))
    return results.find(result => result === 'lost') ?? results.find(result => result === 'no-answer') ?? 'kept'
  }

  doubt(): void {
    this.#best.doubt()
    for (const { gateway } of this.#held.values()) gateway.doubt()
  }

  async #mapBy(gateway: MappingGateway, wish: MappingWish, signal: AbortSignal): Promise<MapOutcome> {
    const held = this.#held.get(wish.protocol)
    if (held && held.gateway.protocol !== gateway.protocol) {
      const limit = deadline(this.#clock, TAKE_BACK_MS, signal)
      await held.gateway.unmap(held.mapping, limit.signal)
      limit.done()
      this.#held.delete(wish.protocol)
    }
    const outcome = await gateway.map(wish, signal)
    if (outcome.kind === 'granted') {
      this.#held.set(wish.protocol, { gateway, mapping: outcome.mapping })
      this.#holders.set(wish.protocol, gateway)
    }
    return outcome
  }
}
