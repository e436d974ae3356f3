import { type Clock, deadline } from '../../../common/platform/clock.ts'
import { listenMulticast } from '../../../common/platform/multicast-listener.ts'
import type { InterfaceAddress } from '../../../common/platform/network-interfaces.ts'
import type { Random } from '../../../common/platform/random.ts'
import type { DefaultGateway } from '../default-gateway.ts'
import { homeLinks, isOnLink } from '../home-links.ts'
import type { GatewayNews, MappingGateway, PortMapper } from '../port-mapper.ts'
import { askDevice } from './device-http.ts'
import { type FoundDevice, searchGateways } from './gateway-search.ts'
import { IgdClient } from './igd-client.ts'
import { readIgdDescription } from './igd-description.ts'
import { parseSsdp, SSDP_ADDRESS, SSDP_PORT } from './ssdp.ts'
import { UpnpGateway } from './upnp-gateway.ts'
import { MAX_XML_CHARS } from './xml.ts'

/** Ours: searches go out until 1 s, and answers may take one more. */
const SEARCH_MS = 2500
const DESCRIPTION_MS = 3000
/** Ours: one device that answers everything slowly must not hold up the search. */
const OPEN_MS = 8000

export interface UpnpOptions {
  readonly clock: Clock
  readonly random: Random
  readonly interfaces: () => readonly InterfaceAddress[]
}

/** UPnP IGD version 1 and 2. */
export class UpnpMapper implements PortMapper {
  readonly #options: UpnpOptions

  constructor(options: UpnpOptions) {
    this.#options = options
  }

  async find(gateways: readonly DefaultGateway[], signal: AbortSignal): Promise<MappingGateway | undefined> {
    const { clock } = this.#options
    const found: UpnpGateway[] = []
    const enough = new AbortController()
    const limit = deadline(clock, SEARCH_MS, AbortSignal.any([signal, enough.signal]))
    const isDefault = ({ address }: { readonly address: string }) => gateways.some(other => other.address === address)
    const probes: Promise<void>[] = []
    const patience = deadline(clock, OPEN_MS, signal)
    const onDevice = (device: FoundDevice) => {
      const probe = this.#open(device, patience.signal).then(gateway => {
        if (!gateway) return
        found.push(gateway)
        // Only where the default gateway says nothing is another device's offer worth waiting for.
        if (gateways.length === 0 || isDefault(gateway)) enough.abort()
      })
      probes.push(probe)
    }
    try {
      await searchGateways({ clock, interfaces: this.#options.interfaces(), gateways, signal: limit.signal, onDevice })
      if (!found.some(isDefault)) await Promise.all(probes)
    } finally {
      limit.done()
      patience.done()
    }
    return signal.aborted ? undefined : (found.find(isDefault) ?? found[0])
  }

  listen(gateways: readonly DefaultGateway[], onNews: (news: GatewayNews) => void): Disposable {
    const links = homeLinks(this.#options.interfaces(), gateways)
    const listener = listenMulticast({
      group: { address: SSDP_ADDRESS, port: SSDP_PORT },
      interfaceAddresses: links.map(({ address }) => address),
      onDatagram(bytes, { address }) {
        if (!links.some(link => isOnLink(address, link))) return
        const message = parseSsdp(bytes)
        if (!message || message.kind === 'answer') return
        const { kind, location, bootId } = message
        onNews({ kind, address, life: bootId === undefined ? undefined : `${location} ${bootId}` })
      },
    })
    return { [Symbol.dispose]: () => listener.close() }
  }

  /** Reads the device's description and takes the connection that has an outside address, or at least answers. */
  async #open(device: FoundDevice, signal: AbortSignal): Promise<UpnpGateway | undefined> {
    const { clock } = this.#options
    let second: UpnpGateway | undefined
    for (const service of readIgdDescription(await this.#describe(device, signal), device.location)) {
      const client = new IgdClient(clock, service, device.localAddress)
      const gateway = new UpnpGateway(client, device, this.#options)
      const { kind } = await gateway.externalAddress(signal)
      if (kind === 'address') return gateway
      if (kind === 'refused') second ??= gateway
    }
    return second
  }

  async #describe(device: FoundDevice, signal: AbortSignal): Promise<string> {
    const limit = deadline(this.#options.clock, DESCRIPTION_MS, signal)
    try {
      const { status, body } = await askDevice({
        url: device.location,
        method: 'GET',
        maxBytes: MAX_XML_CHARS,
        signal: limit.signal,
        localAddress: device.localAddress,
      })
      return status === 200 ? body : ''
    } catch {
      return ''
    } finally {
      limit.done()
    }
  }
}
