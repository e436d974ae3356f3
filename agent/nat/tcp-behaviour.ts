import type { Clock } from '../../common/platform/clock.ts'
import type { Random } from '../../common/platform/random.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import { classifyMapping, type MappingObservation, type MappingResult } from './behaviour.ts'
import { type TcpStunOutcome, tcpStunRequest } from './tcp-stun.ts'

export const UNKNOWN_TCP: MappingResult = { mapping: 'unknown', address: undefined }

/** Ours: a second SYN goes out after one second, a third after three; whoever needs that one counts as blocked. */
const TCP_DISCOVERY_MS = 2900
const MAX_SERVERS = 4
/** The range that Linux leaves alone by default, so that our pick seldom meets somebody's port. */
const FIRST_PORT = 20_000
const LAST_PORT = 32_000
const PORT_TRIES = 4

export interface TcpDiscoveryOptions {
  readonly clock: Clock
  readonly random: Random
  readonly signal?: AbortSignal
  /** TCP STUN servers of one address family. */
  readonly servers: readonly Endpoint[]
  readonly localAddresses: readonly string[]
}

/**
 * Finds out how the NAT maps one TCP port towards several servers, in less than three seconds. All connections come from
 * one explicit local port (SO_REUSEADDR is set by libuv, so they can share it) that no listener of ours uses.
 */
export async function discoverTcpBehaviour(options: TcpDiscoveryOptions): Promise<MappingResult> {
  const servers = options.servers.slice(0, MAX_SERVERS)
  if (servers.length === 0) return UNKNOWN_TCP
  const until = options.clock.now() + TCP_DISCOVERY_MS
  for (let tries = PORT_TRIES; tries > 0; tries--) {
    const localPort = options.random.integer(FIRST_PORT, LAST_PORT)
    const timeoutMs = Math.max(1, until - options.clock.now())
    const outcomes = await Promise.all(
      servers.map(server => tcpStunRequest(server, { ...options, localPort, timeoutMs })),
    )
    // All of them stay open until the last has answered: closing one may end the mapping for the others.
    for (const outcome of outcomes) if (outcome.kind === 'answered') outcome.connection.close()
    if (outcomes.some(({ kind }) => kind === 'port-in-use')) continue
    return classifyMapping(
      observationsOf(servers, outcomes),
      ({ address, port }) => port === localPort && options.localAddresses.includes(address),
    )
  }
  return UNKNOWN_TCP
}

/** Servers that refused are left out: they show that TCP passes, and nothing about the NAT. */
function observationsOf(
  servers: readonly Endpoint[],
  outcomes: readonly TcpStunOutcome[],
): readonly MappingObservation[] {
  return servers.flatMap((server, i) => {
    const outcome = outcomes[i]
    if (!outcome || outcome.kind === 'refused') return []
    return [{ server, outside: outcome.kind === 'answered' ? outcome.outside : undefined }]
  })
}
