import { isIPv4 } from 'node:net'
import type { InterfaceAddress } from '../../common/platform/network-interfaces.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import type { MappingResult } from './behaviour.ts'
import type { UdpBehaviour } from './udp-behaviour.ts'

/** Ours: a NAT whose address changed without any local sign is noticed at the latest then; 150 look-ups a day. */
export const REDISCOVERY_MS = 600_000
/** Ours: silence is often only a line that is not up yet. */
const FIRST_RETRY_MS = 15_000

/** How long to wait before asking again, after `failures` discoveries in a row that found no outside address. */
export function rediscoveryDelay(failures: number): number {
  return failures === 0 ? REDISCOVERY_MS : Math.min(REDISCOVERY_MS, FIRST_RETRY_MS * 2 ** (failures - 1))
}

export function isComplete(udp: UdpBehaviour, tcp: MappingResult): boolean {
  return udp.address !== undefined && tcp.mapping !== 'blocked'
}

/** The servers to ask: of IPv4 where this machine has it, because that is where the NATs are. */
export function serversToAsk(
  servers: readonly Endpoint[],
  addresses: readonly InterfaceAddress[],
): readonly Endpoint[] {
  const usable = (family: 4 | 6) => {
    const own = addresses.filter(entry => entry.family === family)
    const remote = servers.filter(({ address }) => isIPv4(address) === (family === 4))
    return { any: own.length > 0, beyondLoopback: own.some(({ loopback }) => !loopback), remote }
  }
  const v4 = usable(4)
  const v6 = usable(6)
  const first = v4.beyondLoopback || !v6.beyondLoopback ? [v4, v6] : [v6, v4]
  return first.find(({ any, remote }) => any && remote.length > 0)?.remote ?? []
}
