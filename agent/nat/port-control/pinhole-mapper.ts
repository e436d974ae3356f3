import { listenMulticast } from '../../../common/platform/multicast-listener.ts'
import type { InterfaceAddress } from '../../../common/platform/network-interfaces.ts'
import { addressScope } from '../../../common/wire/endpoint.ts'
import type { DefaultGateway } from '../default-gateway.ts'
import { isTunnelInterface, isVirtualInterface } from '../interface-kind.ts'
import type {
  ExternalAnswer,
  GatewayNews,
  MapOutcome,
  MappingGateway,
  MappingWish,
  PortMapper,
  PortMapping,
} from '../port-mapper.ts'
import { CONTROL_PORT } from './control-port.ts'
import { PcpGateway } from './pcp-gateway.ts'
import { readPcpAnswer } from './pcp-message.ts'
import type { PortControlOptions } from './port-control-mapper.ts'

/** RFC 6887 §14.1.2: all nodes of a link. */
const ANNOUNCEMENTS = { address: 'ff02::1', port: 5350 } as const
/** Ours: a machine has one stable and a few temporary addresses (RFC 8981), and each costs the router an entry. */
const MAX_ADDRESSES = 4

/** PCP for IPv6: opens the router's firewall for our own addresses. */
export class PinholeMapper implements PortMapper {
  readonly #options: PortControlOptions

  constructor(options: PortControlOptions) {
    this.#options = options
  }

  async find(gateways: readonly DefaultGateway[], signal: AbortSignal): Promise<MappingGateway | undefined> {
    const { interfaces, secret } = this.#options
    for (const { interfaceName, address } of gateways) {
      const doors = globalAddresses(interfaces(), interfaceName).map(
        client => new PcpGateway({ gateway: address, client }, this.#options, secret),
      )
      const [first, ...others] = doors
      if (first && (await first.announce(signal)) === 'pcp') return new PinholeGateway([first, ...others])
    }
    return undefined
  }

  /** It announces from an address of its own choice, so whoever it is on the link of a gateway gives a reason to look. */
  listen(gateways: readonly DefaultGateway[], onNews: (news: GatewayNews) => void): Disposable {
    const listener = listenMulticast({
      group: ANNOUNCEMENTS,
      interfaceAddresses: gateways.map(({ interfaceName }) => `::%${interfaceName}`),
      onDatagram(bytes, from) {
        if (from.port !== CONTROL_PORT || readPcpAnswer(bytes)?.kind !== 'announce') return
        const [, zone] = from.address.split('%')
        for (const { address, interfaceName } of gateways) {
          if (zone === interfaceName) onNews({ kind: 'announced', address, life: undefined })
        }
      },
    })
    return { [Symbol.dispose]: () => listener.close() }
  }
}

function globalAddresses(interfaces: readonly InterfaceAddress[], interfaceName: string): readonly string[] {
  if (isVirtualInterface(interfaceName) || isTunnelInterface(interfaceName)) return []
  return interfaces
    .filter(entry => entry.interfaceName === interfaceName && entry.family === 6)
    .filter(({ address }) => addressScope(address) === 'public')
    .map(({ address }) => address)
    .slice(0, MAX_ADDRESSES)
}

/** One pinhole per address of ours; they are made, renewed and removed together. */
class PinholeGateway implements MappingGateway {
  readonly protocol = 'pcp'
  readonly address: string
  readonly checkCost = 'datagram'
  readonly #doors: readonly [PcpGateway, ...PcpGateway[]]

  constructor(doors: readonly [PcpGateway, ...PcpGateway[]]) {
    this.address = doors[0].address
    this.#doors = doors
  }

  externalAddress(signal: AbortSignal): Promise<ExternalAnswer> {
    return this.#doors[0].externalAddress(signal)
  }

  /** What the first address gets counts: that of the others is a gift. */
  async map(wish: MappingWish, signal: AbortSignal): Promise<MapOutcome> {
    const [first, ...others] = this.#doors.map(door => door.map(wish, signal))
    await Promise.all(others)
    return first ?? { kind: 'no-answer', message: 'there is no address to open' }
  }

  async unmap(mapping: PortMapping, signal: AbortSignal): Promise<boolean> {
    const done = await Promise.all(this.#doors.map(door => door.unmap(mapping, signal)))
    return done.every(Boolean)
  }

  async check(mappings: readonly PortMapping[], signal: AbortSignal): Promise<'kept' | 'lost' | 'no-answer'> {
    const [first, ...others] = this.#doors
    const looks = first.looksNext
    const result = await first.check(mappings, signal)
    if (looks && result !== 'no-answer') await Promise.all(others.map(door => this.#renew(door, mappings, signal)))
    return result
  }

  doubt(): void {
    this.#doors[0].doubt()
  }

  async #renew(door: PcpGateway, mappings: readonly PortMapping[], signal: AbortSignal): Promise<void> {
    for (const mapping of mappings) await door.map({ ...mapping, description: '' }, signal)
  }
}
