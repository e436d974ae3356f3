import { addressScope, type Endpoint } from '../../common/wire/endpoint.ts'

/** Of each IP version, two addresses with two ports each: all that RFC 5780 asks for. */
const MAX_STUN_SERVERS = 8

/**
 * The STUN servers that a relay may send us to: public ones, or ones in the same kind of network as itself. It could else
 * have every agent knock at addresses of their own machines and homes. `relayAddress` is unknown behind a proxy.
 */
export function usableStun(told: readonly Endpoint[], relayAddress: string | undefined): readonly Endpoint[] {
  const own = relayAddress === undefined ? 'public' : addressScope(relayAddress)
  const usable = told.filter(({ address }) => {
    const scope = addressScope(address)
    return scope === 'public' || (scope === own && scope !== 'unusable')
  })
  return usable.slice(0, MAX_STUN_SERVERS)
}
