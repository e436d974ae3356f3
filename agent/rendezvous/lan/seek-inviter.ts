import type { Endpoint } from '../../../common/wire/endpoint.ts'
import type { PeerId } from '../../../common/wire/peer-id.ts'
import { LanDiscovery, type LanDiscoveryOptions } from './lan-discovery.ts'

export interface SeekInviterOptions
  extends Pick<LanDiscoveryOptions, 'clock' | 'random' | 'openSocket' | 'log' | 'interfaces' | 'linkLocal'> {
  /** Who holds the invite, and is to be seen by nobody. */
  readonly guest: PeerId
  readonly inviter: PeerId
  /** What the inviter shows itself by to who holds the invite. */
  readonly lanKey: Uint8Array
}

/** Looks for who made an invite on the links that this machine is on, until the signal aborts; tells each address once. */
export function seekInviter(
  options: SeekInviterOptions,
  found: (endpoint: Endpoint) => void,
  signal: AbortSignal,
): void {
  if (signal.aborted) return
  const { guest, inviter, lanKey, ...shared } = options
  const told = new Set<string>()
  const lan = new LanDiscovery({
    ...shared,
    ownId: guest,
    // Nobody could recognise a guest, so it never says where it listens.
    tcpPort: 0,
    enabled: () => true,
    keys: () => ({ pinned: [], held: [{ secret: lanKey, inviter }] }),
    onSeen() {
      for (const { endpoint } of lan.addresses(inviter)) {
        const key = `${endpoint.address} ${endpoint.port}`
        if (told.has(key)) continue
        told.add(key)
        found(endpoint)
      }
    },
  })
  signal.addEventListener('abort', () => void lan.close(), { once: true })
}
