import type { Socket } from 'node:net'
import { CulvertError } from '../../common/errors.ts'
import { type Clock, deadline } from '../../common/platform/clock.ts'
import type { Random } from '../../common/platform/random.ts'
import { dialTcp } from '../../common/platform/tcp.ts'
import type { Candidate } from '../../common/wire/candidate.ts'
import { type Endpoint, formatEndpoint, plainAddress } from '../../common/wire/endpoint.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { makeKnock } from './knock.ts'
import type { Path } from './path.ts'
import type { Sealer } from './seal.ts'

/** RFC 6298 sends the second SYN after one second; a good path answers the first or the second. */
const DIAL_MS = 3_000

/** Connects to one TCP candidate and proves that the peer is behind it. */
export async function dialTcpPath(
  peer: PeerId,
  candidate: Candidate,
  context: { readonly sealer: Sealer; readonly clock: Clock; readonly random: Random; readonly signal: AbortSignal },
): Promise<Path> {
  const limit = deadline(context.clock, DIAL_MS, context.signal)
  try {
    const socket = await dialTcp(candidate.endpoint, { signal: limit.signal })
    socket.write(makeKnock(peer, context.random))
    const { stream } = await context.sealer.seal(socket, {
      role: 'client',
      expected: peer,
      accept: () => true,
      signal: limit.signal,
    })
    return { kind: 'tcp', transport: 'tcp', how: candidate.how, peer, stream, ...endsOf(socket) }
  } catch (thrown) {
    if (thrown instanceof CulvertError && thrown.code === 'aborted' && !context.signal.aborted) {
      const where = formatEndpoint(candidate.endpoint)
      throw new CulvertError('timed-out', `${where} (${candidate.how}) did not answer in ${DIAL_MS} ms`)
    }
    throw thrown
  } finally {
    limit.done()
  }
}

/** Both ends of a connected socket, as far as it still knows them. */
export function endsOf(socket: Socket): {
  readonly local: Endpoint | undefined
  readonly remote: Endpoint | undefined
} {
  return {
    local: endpointOf(socket.localAddress, socket.localPort),
    remote: endpointOf(socket.remoteAddress, socket.remotePort),
  }
}

function endpointOf(address: string | undefined, port: number | undefined): Endpoint | undefined {
  return address === undefined || port === undefined ? undefined : { address: plainAddress(address), port }
}
