import { type Clock, pause } from '../../../common/platform/clock.ts'
import { listenMulticast } from '../../../common/platform/multicast-listener.ts'
import type { InterfaceAddress } from '../../../common/platform/network-interfaces.ts'
import type { Random } from '../../../common/platform/random.ts'
import type { DefaultGateway } from '../default-gateway.ts'
import { homeLinks, isOnLink } from '../home-links.ts'
import type { GatewayNews, MappingGateway, PortMapper } from '../port-mapper.ts'
import { CONTROL_PORT, type ControlEnds } from './control-port.ts'
import { NatPmpGateway } from './nat-pmp-gateway.ts'
import { readNatPmpAnswer } from './nat-pmp-message.ts'
import { PcpGateway } from './pcp-gateway.ts'
import { readPcpAnswer } from './pcp-message.ts'

/** RFC 6886 §3.2.1 and RFC 6887 §14.1.2: where gateways say that they began anew, or have another address. */
const ANNOUNCEMENTS = { address: '224.0.0.1', port: 5350 } as const
/** Ours: a gateway that drops versions it does not know must not cost the time of a whole question. */
const OTHER_VERSION_MS = 250

export interface PortControlOptions {
  readonly clock: Clock
  readonly random: Random
  readonly interfaces: () => readonly InterfaceAddress[]
  /** Makes the nonces of PCP; see `PcpGateway`. */
  readonly secret: Uint8Array
}

/** PCP and, where the router speaks only that, NAT-PMP: both are asked of the default gateway on one port. */
export class PortControlMapper implements PortMapper {
  readonly #options: PortControlOptions

  constructor(options: PortControlOptions) {
    this.#options = options
  }

  async find(gateways: readonly DefaultGateway[], signal: AbortSignal): Promise<MappingGateway | undefined> {
    const links = homeLinks(this.#options.interfaces(), gateways)
    const ends = gateways.flatMap(({ address }): ControlEnds[] => {
      const own = links.find(link => isOnLink(address, link))
      return own ? [{ gateway: address, client: own.address }] : []
    })
    const found = await Promise.all(ends.map(each => this.#speak(each, signal)))
    return found.find(gateway => gateway !== undefined)
  }

  listen(gateways: readonly DefaultGateway[], onNews: (news: GatewayNews) => void): Disposable {
    return listenForAnnouncements(homeLinks(this.#options.interfaces(), gateways), address => {
      onNews({ kind: 'announced', address, life: undefined })
    })
  }

  /** RFC 6887 §9: the newest version first, the older one when the gateway says that it has no other. */
  async #speak(ends: ControlEnds, signal: AbortSignal): Promise<MappingGateway | undefined> {
    const pcp = new PcpGateway(ends, this.#options, this.#options.secret)
    const natPmp = new NatPmpGateway(ends, this.#options)
    const enough = new AbortController()
    const asked = AbortSignal.any([signal, enough.signal])
    const announced = pcp.announce(asked)
    const first = await Promise.race([announced, pause(this.#options.clock, OTHER_VERSION_MS, asked)])
    if (first === 'pcp') return pcp
    const { kind } = await natPmp.externalAddress(signal)
    const speaksNatPmp = kind === 'address' || kind === 'refused'
    if (speaksNatPmp) enough.abort()
    if ((await announced) === 'pcp') return pcp
    return speaksNatPmp && !signal.aborted ? natPmp : undefined
  }
}

/** Hears what gateways on these links announce; the words themselves are not believed, only a reason to look. */
function listenForAnnouncements(
  links: readonly InterfaceAddress[],
  onAnnouncement: (address: string) => void,
): Disposable {
  const listener = listenMulticast({
    group: ANNOUNCEMENTS,
    interfaceAddresses: links.map(({ address }) => address),
    onDatagram(bytes, { address, port }) {
      if (port !== CONTROL_PORT || !links.some(link => isOnLink(address, link))) return
      const isAnnouncement = readPcpAnswer(bytes)?.kind === 'announce' || readNatPmpAnswer(bytes)?.kind === 'address'
      if (isAnnouncement) onAnnouncement(address)
    },
  })
  return { [Symbol.dispose]: () => listener.close() }
}
