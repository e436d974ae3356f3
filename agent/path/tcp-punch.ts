import type { Clock } from '../../common/platform/clock.ts'
import type { Random } from '../../common/platform/random.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import { classifyPorts, nextPorts, type PortWindow, portsBetween, portToAimAt } from '../nat/port-pattern.ts'
import { askAround, freshTcpPorts, ipv4Servers, sampleTcpPorts } from '../nat/tcp-port-sample.ts'
import { tcpStunRequest } from '../nat/tcp-stun.ts'
import type { LineEnd, TcpMeeting } from './tcp-meeting.ts'

const STUN_MS = 2_000
const PORT_TRIES = 3
/** Three tell a sequence from chance; more would only move it on. */
const SAMPLES = 3
/** Ports that the easy side opens for a peer whose next port is foretold: as many flows as others may begin meanwhile. */
export const FORETOLD_PORTS = 8
/** Flows of each of two sides that foretell their ports. */
export const AIMED_FLOWS = 8

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
  const ipv4 = ipv4Servers(servers)
  for (let tries = 0; tries < PORT_TRIES; tries++) {
    const server = ipv4[tries % Math.max(1, ipv4.length)]
    const [localPort] = freshTcpPorts(context.random, 1)
    if (!server || localPort === undefined || context.signal.aborted) return undefined
    const answer = await tcpStunRequest(server, { ...context, localPort, timeoutMs: STUN_MS })
    if (answer.kind === 'answered') {
      return { localPort, outside: answer.outside, release: () => answer.connection.close() }
    }
    if (answer.kind === 'silent' || answer.kind === 'aborted') return undefined
  }
  return undefined
}

/** Ports of one outside address. */
export interface OutsideWindow {
  readonly address: string
  readonly window: PortWindow
}

/**
 * Behind a NAT that counts its ports up: a question to a relay, the SYN to the peer, and another question, back to back.
 * `window` is where the SYN came from; undefined when that is not told by what the relays saw. `line` is how the SYN
 * ended: a router that answers it with RST ends its mapping, too.
 */
export async function openInSandwich(
  servers: readonly Endpoint[],
  remote: Endpoint,
  meeting: TcpMeeting,
  context: PunchContext,
): Promise<{ readonly found: OutsideWindow | undefined; readonly line: Promise<LineEnd> } | undefined> {
  let line: Promise<LineEnd> = Promise.resolve('failed')
  const seen = await askAround(servers, 2, context, localPort => {
    line = meeting.line({ port: localPort }, remote, { again: false })
  })
  const [before, after] = seen?.samples ?? []
  if (!seen || !before || !after) return undefined
  const window = portsBetween(before, after, seen.localPort)
  return { found: window && { address: seen.address, window }, line }
}

/** Where our next flows will come from; undefined when the NAT does not count its ports. */
export async function foretellWindow(
  servers: readonly Endpoint[],
  context: PunchContext,
): Promise<OutsideWindow | undefined> {
  const seen = await sampleTcpPorts(servers, SAMPLES, context)
  const pattern = seen && classifyPorts(seen.samples)
  const window = pattern && nextPorts(pattern, FORETOLD_PORTS)
  return window && { address: seen.address, window }
}

/** The port that one of our next flows will have, for a peer that foretells its ports, too. */
export async function foretellAim(servers: readonly Endpoint[], context: PunchContext): Promise<Endpoint | undefined> {
  const seen = await sampleTcpPorts(servers, SAMPLES, context)
  const pattern = seen && classifyPorts(seen.samples)
  const port = pattern && portToAimAt(pattern, AIMED_FLOWS)
  return port === undefined ? undefined : { address: seen?.address ?? '', port }
}
