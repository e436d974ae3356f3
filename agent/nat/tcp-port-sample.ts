import type { Clock } from '../../common/platform/clock.ts'
import type { Random } from '../../common/platform/random.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import type { PortSample } from './port-pattern.ts'
import { type TcpStunOutcome, tcpStunRequest } from './tcp-stun.ts'

/** Ours: one round trip for the connection and one for the question, on the slowest line that we care for. */
const STUN_MS = 3_000
/** Outgoing connections share a port only where nothing listens on it, so never one of the agent's own ports. */
const LOW_PORT = 20_000
const HIGH_PORT = 60_000
const PORT_TRIES = 3

export interface TcpSampleContext {
  readonly clock: Clock
  readonly random: Random
  readonly signal: AbortSignal
}

/** What servers saw of fresh TCP ports, and the outside address; undefined when it is not one and the same. */
export interface TcpPortSamples {
  readonly address: string
  readonly samples: readonly PortSample[]
}

/** Servers that can be asked over IPv4, where the NATs are. */
export function ipv4Servers(servers: readonly Endpoint[]): readonly Endpoint[] {
  return servers.filter(({ address }) => !address.includes(':'))
}

/** So many fresh local ports in a row; whoever takes them retries when one is in use. */
export function freshTcpPorts(random: Random, count: number): readonly number[] {
  const first = random.integer(LOW_PORT, HIGH_PORT - count)
  return Array.from({ length: count }, (_, i) => first + i)
}

/** Asks from `count` fresh ports at once, in this order. Only for a NAT that maps each flow to another port. */
export async function sampleTcpPorts(
  servers: readonly Endpoint[],
  count: number,
  context: TcpSampleContext,
): Promise<TcpPortSamples | undefined> {
  return askAround(servers, count, context, () => undefined)
}

/**
 * The same with something else sent in the middle, from a local port that `between` gets: what it sends has an outside
 * port between those of the samples around it.
 */
export async function askAround(
  servers: readonly Endpoint[],
  count: number,
  context: TcpSampleContext,
  between: (localPort: number) => void,
): Promise<(TcpPortSamples & { readonly localPort: number }) | undefined> {
  const ipv4 = ipv4Servers(servers)
  for (let tries = 0; tries < PORT_TRIES && ipv4.length > 0; tries++) {
    const [localPort = 0, ...ports] = freshTcpPorts(context.random, count + 1)
    const ask = (port: number, i: number) => {
      const server = ipv4[(i + tries) % ipv4.length]
      return server ? tcpStunRequest(server, { ...context, localPort: port, timeoutMs: STUN_MS }) : undefined
    }
    const half = Math.ceil(count / 2)
    const asked = ports.slice(0, half).map(ask)
    between(localPort)
    asked.push(...ports.slice(half).map((port, i) => ask(port, half + i)))
    const outcomes = await Promise.all(asked)
    for (const outcome of outcomes) if (outcome?.kind === 'answered') outcome.connection.close()
    if (context.signal.aborted) return undefined
    const seen = samplesOf(ports, outcomes)
    if (seen) return { ...seen, localPort }
  }
  return undefined
}

function samplesOf(
  ports: readonly number[],
  outcomes: readonly (TcpStunOutcome | undefined)[],
): TcpPortSamples | undefined {
  const answers = outcomes.flatMap((outcome, i) => {
    return outcome?.kind === 'answered' ? [{ local: ports[i] ?? 0, outside: outcome.outside }] : []
  })
  const address = answers[0]?.outside.address
  if (address === undefined || answers.length < outcomes.length) return undefined
  if (answers.some(({ outside }) => outside.address !== address)) return undefined
  return { address, samples: answers.map(({ local, outside }) => ({ local, outside: outside.port })) }
}
