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
  /** Hears what is known before all is; never of silence, which only the end of the look makes sure of. */
  readonly onPart?: (part: { readonly udp?: Partial<UdpBehaviour>; readonly tcp?: MappingResult }) => void
}

export interface NatLook {
  readonly udp: UdpBehaviour
  readonly tcp: MappingResult
}

/**
 * Looks at the NAT anew, in at most three seconds for each IP version; undefined when there is nobody to ask. IPv6 is
 * asked where nothing comes back over IPv4: many a router has given out addresses of a version that it has no line for.
 */
export async function checkNat(options: NatCheckOptions): Promise<NatLook | undefined> {
  let look: NatLook | undefined
  for (const servers of serversToAsk(options.servers, options.addresses)) {
    if (look && !isSilent(look)) break
    look = await lookAt(servers, options)
  }
  return look
}

/** No server told anything, by UDP or TCP: the network blocks it, or they are down. One that is refuses TCP at best. */
function isSilent({ udp, tcp }: NatLook): boolean {
  return udp.mapping === 'blocked' && (tcp.mapping === 'blocked' || tcp.mapping === 'unknown')
}

/**
 * What is known after a look; undefined: nothing. Silence counts where a relay is connected (`online`): else it may be the
 * servers that are down, and what was `known` of this network before is the best there is, unless that is silence, too.
 */
export function conclusion(
  look: NatLook | undefined,
  known: NatLook | undefined,
  online: boolean,
): NatLook | undefined {
  if (!look || online || !isSilent(look)) return look
  return known && !isSilent(known) ? known : undefined
}

async function lookAt(servers: readonly Endpoint[], options: NatCheckOptions): Promise<NatLook> {
  const { clock, random, signal } = options
  const localAddresses = options.addresses.map(({ address }) => address)
  const shared = { clock, random, signal, servers, localAddresses }
  const [udp, tcp] = await Promise.all([
    discoverUdpBehaviour({
      ...shared,
      // Never the agent's own port: a data channel that wants it in this moment would fail.
      localPort: 0,
      onAddress: address => options.onPart?.({ udp: { address } }),
      onMapping: udp => {
        if (udp.mapping !== 'blocked') options.onPart?.({ udp })
      },
    }),
    discoverTcpBehaviour(shared).then(tcp => {
      if (tcp.mapping !== 'blocked') options.onPart?.({ tcp })
      return tcp
    }),
  ])
  return { udp, tcp }
}
