import type { Clock } from '../../common/platform/clock.ts'
import type { InterfaceAddress } from '../../common/platform/network-interfaces.ts'
import type { Random } from '../../common/platform/random.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import type { MappingResult } from './behaviour.ts'
import { serversToAsk } from './discovery-schedule.ts'
import { discoverTcpBehaviour } from './tcp-behaviour.ts'
import { discoverUdpBehaviour, type UdpBehaviour } from './udp-behaviour.ts'

export interface NatCheckOptions {
  readonly clock: Clock
  readonly random: Random
  readonly signal: AbortSignal
  readonly servers: readonly Endpoint[]
  readonly addresses: readonly InterfaceAddress[]
}

/** Looks at the NAT anew, in at most three seconds; undefined when there is nobody to ask. */
export async function checkNat(
  options: NatCheckOptions,
): Promise<{ readonly udp: UdpBehaviour; readonly tcp: MappingResult } | undefined> {
  const servers = serversToAsk(options.servers, options.addresses)
  if (servers.length === 0) return undefined
  const { clock, random, signal } = options
  const localAddresses = options.addresses.map(({ address }) => address)
  const shared = { clock, random, signal, servers, localAddresses }
  const [udp, tcp] = await Promise.all([
    discoverUdpBehaviour({ ...shared, localPort: 0 }),
    discoverTcpBehaviour(shared),
  ])
  return { udp, tcp }
}
