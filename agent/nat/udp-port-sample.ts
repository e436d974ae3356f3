import type { Clock } from '../../common/platform/clock.ts'
import type { Random } from '../../common/platform/random.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import type { PortSample } from './port-pattern.ts'
import type { ProbeBudget } from './probe-budget.ts'
import { QUICK_RETRANSMISSION, stunRequest } from './stun-client.ts'
import { ipv4Servers } from './tcp-port-sample.ts'
import { UdpPort } from './udp-port.ts'

export interface UdpSampleContext {
  readonly clock: Clock
  readonly random: Random
  readonly signal: AbortSignal
  readonly budget: ProbeBudget
}

/** What servers saw of fresh UDP ports, in the order in which these asked, and the one outside address. */
export interface UdpPortSamples {
  readonly address: string
  readonly samples: readonly PortSample[]
}

/** A fresh port of ours with its outside endpoint; undefined when no server answers. The caller closes the port. */
export async function openSeenPort(
  servers: readonly Endpoint[],
  context: UdpSampleContext,
): Promise<{ readonly port: UdpPort; readonly outside: Endpoint } | undefined> {
  const port = await UdpPort.open({ family: 4 })
  for (const server of ipv4Servers(servers)) {
    context.budget.take(port.local.port, server)
    const answer = await stunRequest(port.stun, server, { ...context, retransmission: QUICK_RETRANSMISSION })
    if (answer.kind === 'answered') return { port, outside: answer.outside }
    if (answer.kind === 'aborted') break
  }
  await port.close()
  return undefined
}

/** Asks from `count` fresh ports in one burst. Only for a NAT that maps each flow to another port. */
export function sampleUdpPorts(
  servers: readonly Endpoint[],
  count: number,
  context: UdpSampleContext,
): Promise<UdpPortSamples | undefined> {
  return askAroundUdp(servers, count, context, () => undefined)
}

/**
 * The same with something else sent in the middle of the burst: what `between` sends has an outside port between those
 * of the samples around it.
 */
export async function askAroundUdp(
  servers: readonly Endpoint[],
  count: number,
  context: UdpSampleContext,
  between: () => void,
): Promise<UdpPortSamples | undefined> {
  const ipv4 = ipv4Servers(servers)
  if (ipv4.length === 0) return undefined
  const ports: UdpPort[] = []
  try {
    while (ports.length < count) ports.push(await UdpPort.open({ family: 4 }))
    const ask = (port: UdpPort, i: number) => {
      const server = ipv4[i % ipv4.length] ?? port.local
      context.budget.take(port.local.port, server)
      return stunRequest(port.stun, server, { ...context, retransmission: QUICK_RETRANSMISSION })
    }
    const half = Math.ceil(count / 2)
    const asked = ports.slice(0, half).map(ask)
    between()
    asked.push(...ports.slice(half).map((port, i) => ask(port, half + i)))
    const outcomes = await Promise.all(asked)
    const answers = outcomes.flatMap((outcome, i) => {
      return outcome.kind === 'answered' ? [{ local: ports[i]?.local.port ?? 0, outside: outcome.outside }] : []
    })
    const address = answers[0]?.outside.address
    // A NAT that takes now this address and now that one cannot be met at either.
    if (address === undefined || answers.some(({ outside }) => outside.address !== address)) return undefined
    return { address, samples: answers.map(({ local, outside }) => ({ local, outside: outside.port })) }
  } finally {
    await Promise.all(ports.map(port => port.close()))
  }
}
