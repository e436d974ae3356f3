import { isIP } from 'node:net'
import type { InterfaceAddress } from '../../common/platform/network-interfaces.ts'
import { addressScope, type Endpoint } from '../../common/wire/endpoint.ts'
import type { MappingResult } from './behaviour.ts'
import { isVirtualInterface } from './interface-kind.ts'
import type { UdpBehaviour } from './udp-behaviour.ts'

/** Ours: a NAT whose address changed without any local sign is noticed at the latest then; 150 look-ups a day. */
const REDISCOVERY_MS = 600_000
/** Ours: silence is often only a line that is not up yet. */
const FIRST_RETRY_MS = 15_000

/** How long to wait before asking again, after `failures` discoveries in a row that found no outside address. */
export function rediscoveryDelay(failures: number): number {
  return failures === 0 ? REDISCOVERY_MS : Math.min(REDISCOVERY_MS, FIRST_RETRY_MS * 2 ** (failures - 1))
}

export function isComplete(udp: UdpBehaviour, tcp: MappingResult): boolean {
  return udp.address !== undefined && tcp.mapping !== 'blocked'
}

/**
 * The servers that can be asked from here, by IP version: IPv4 first, because that is where the NATs are. A loopback
 * address reaches none but those of this machine, and a bridge to containers leads nowhere.
 */
export function serversToAsk(
  servers: readonly Endpoint[],
  addresses: readonly InterfaceAddress[],
): readonly (readonly Endpoint[])[] {
  const own = addresses.filter(({ interfaceName }) => !isVirtualInterface(interfaceName))
  const nearness = (address: string) => {
    const scope = addressScope(address)
    return scope === 'loopback' || scope === 'link-local' ? scope : 'beyond'
  }
  const canReach = ({ address }: Endpoint) =>
    own.some(entry => entry.family === isIP(address) && nearness(entry.address) === nearness(address))
  const usable = servers.filter(canReach)
  return [4, 6]
    .map(version => usable.filter(({ address }) => isIP(address) === version))
    .filter(({ length }) => length > 0)
}

/** The IP versions over which something is asked. */
export function versionsToAsk(...given: Parameters<typeof serversToAsk>): readonly number[] {
  return serversToAsk(...given).map(([server]) => isIP(server?.address ?? ''))
}
