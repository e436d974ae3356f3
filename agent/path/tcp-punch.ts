import type { Socket } from 'node:net'
import { CulvertError, systemCodeOf } from '../../common/errors.ts'
import { type Clock, deadline, pause } from '../../common/platform/clock.ts'
import type { Random } from '../../common/platform/random.ts'
import { dialTcp } from '../../common/platform/tcp.ts'
import { type Endpoint, formatEndpoint } from '../../common/wire/endpoint.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { tcpStunRequest } from '../nat/tcp-stun.ts'
import type { Path } from './path.ts'
import type { Sealer } from './seal.ts'
import { endsOf } from './tcp-path.ts'

/**
 * TCP simultaneous open (RFC 9293 §3.5, RFC 5382 §4.3): both sides connect from a port whose outside address they have
 * told each other. The first SYN opens the sender's own NAT and may be lost at the other's; it is sent again after 1 s
 * and 3 s, and whichever arrives while the other side is connecting too makes the connection.
 */
const PUNCH_MS = 5_000
/** A router that answers a closed port with RST: both sides must hit the same moment, so the retry is immediate. */
const REFUSED_RETRY_MS = 1
/** More would make us a nuisance to an address that a peer chose; the other side starts within a round trip. */
const MAX_TRIES = 600
const STUN_MS = 2_000
const PORT_TRIES = 3
/** Outgoing connections share a port only where nothing listens on it, so never one of the agent's own ports. */
const LOW_PORT = 20_000
const HIGH_PORT = 60_000

export interface PunchContext {
  readonly clock: Clock
  readonly random: Random
  readonly signal: AbortSignal
}

/** A local port with its address outside; the mapping lives until it is released. */
export interface PunchPort {
  readonly localPort: number
  readonly outside: Endpoint
  release(): void
}

/** Takes a fresh local port and asks a relay for its outside address; undefined when none answers over TCP. */
export async function openPunchPort(
  servers: readonly Endpoint[],
  context: PunchContext,
): Promise<PunchPort | undefined> {
  const ipv4 = servers.filter(({ address }) => !address.includes(':'))
  for (let tries = 0; tries < PORT_TRIES; tries++) {
    const server = ipv4[tries % Math.max(1, ipv4.length)]
    if (!server || context.signal.aborted) return undefined
    const localPort = context.random.integer(LOW_PORT, HIGH_PORT)
    const answer = await tcpStunRequest(server, { ...context, localPort, timeoutMs: STUN_MS })
    if (answer.kind === 'answered') {
      return { localPort, outside: answer.outside, release: () => answer.connection.close() }
    }
    if (answer.kind === 'silent' || answer.kind === 'aborted') return undefined
  }
  return undefined
}

/**
 * Connects to a peer that connects to us at the same time, and proves that it is the peer. Rejects with
 * `peer-unreachable`, `timed-out`, `aborted`, or what the proof failed of.
 */
export async function punchTcpPath(
  peer: PeerId,
  punch: { readonly localPort: number; readonly remote: Endpoint; readonly role: 'client' | 'server' },
  context: PunchContext & { readonly sealer: Sealer },
): Promise<Path> {
  const limit = deadline(context.clock, PUNCH_MS, context.signal)
  try {
    const socket = await connectUntil(punch.remote, punch.localPort, context.clock, limit.signal)
    const { stream } = await context.sealer.seal(socket, {
      role: punch.role,
      expected: peer,
      accept: () => true,
      signal: context.signal,
    })
    return { kind: 'tcp', transport: 'tcp', how: 'punched', peer, stream, ...endsOf(socket) }
  } catch (thrown) {
    if (thrown instanceof CulvertError && thrown.code === 'aborted' && !context.signal.aborted) {
      throw new CulvertError('timed-out', `${formatEndpoint(punch.remote)} did not meet us in ${PUNCH_MS} ms`)
    }
    throw thrown
  } finally {
    limit.done()
  }
}

async function connectUntil(remote: Endpoint, localPort: number, clock: Clock, signal: AbortSignal): Promise<Socket> {
  for (let tries = 1; ; tries++) {
    try {
      return await dialTcp(remote, { localPort, signal })
    } catch (thrown) {
      const code = systemCodeOf(thrown instanceof Error ? thrown.cause : undefined)
      const again = code === 'ECONNREFUSED' || code === 'ECONNRESET'
      if (!again || tries >= MAX_TRIES || signal.aborted) throw thrown
      await pause(clock, REFUSED_RETRY_MS, signal)
    }
  }
}
