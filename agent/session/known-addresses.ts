import type { PeerId } from '../../common/wire/peer-id.ts'
import type { Path } from '../path/path.ts'
import { dialTcpPath } from '../path/tcp-path.ts'
import type { AttemptBudget } from './attempt-budget.ts'
import type { PeerContext } from './peer-context.ts'

/**
 * Connects to where the peer was reached before, with no help of a relay: so a home works on while every relay is away.
 * Undefined when none of the addresses leads to the peer any more; a stranger there learns nothing but a knock.
 */
export async function dialKnownAddress(
  peer: PeerId,
  context: PeerContext,
  budget: AttemptBudget,
  signal: AbortSignal,
): Promise<Path | undefined> {
  const won = new AbortController()
  const both = AbortSignal.any([signal, won.signal])
  const dials = context.memory
    .addresses(peer)
    .filter(({ endpoint }) => !context.isOwnAddress(endpoint.address) || context.isOnThisMachine(peer))
    .filter(({ endpoint }) => budget.takeDial(endpoint))
    .map(async ({ how, endpoint }) => {
      const path = await dialTcpPath(peer, { kind: 'tcp', how, endpoint }, { ...context, signal: both })
      if (both.aborted) path.stream.destroy()
      return path
    })
  try {
    return await Promise.any(dials)
  } catch {
    return undefined
  } finally {
    won.abort()
  }
}
