import { isIP, type Socket } from 'node:net'
import { CulvertError, systemCodeOf } from '../common/errors.ts'
import type { Clock } from '../common/platform/clock.ts'
import type { Log } from '../common/platform/log.ts'
import type { InterfaceAddress } from '../common/platform/network-interfaces.ts'
import type { Random } from '../common/platform/random.ts'
import { type Listener, listenTcp } from '../common/platform/tcp.ts'
import { openUdpSocket, type UdpSocket } from '../common/platform/udp-socket.ts'
import type { Endpoint } from '../common/wire/endpoint.ts'
import { AddressSockets } from './address-sockets.ts'
import { retryWhileInUse } from './bind-retry.ts'
import type { StunAnswer, StunSpot } from './stun-answer.ts'
import type { RelayTiming } from './timing.ts'

/** What is done with what comes in. */
export interface StunReceivers {
  /** `reply` sends from where the answer has to leave. */
  onDatagram(request: Uint8Array, from: Endpoint, spot: StunSpot, reply: (answer: StunAnswer) => void): void
  onConnection(socket: Socket, spot: StunSpot): void
}

export interface StunSocketParts {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly timing: RelayTiming
  /** The addresses of this machine, as they are now. */
  readonly interfaces: () => readonly InterfaceAddress[]
}

export interface StunSockets {
  readonly ports: readonly [number, number]
  /** Where datagrams are answered now. */
  addresses(): readonly string[]
  close(): Promise<void>
}

type Ports = readonly [number, number]
type Opened = Omit<StunSockets, 'ports'>

const BACKLOG = 1024
const ANY_PORT_TRIES = 20
/** Below the range that Linux takes ports of outgoing connections from: there, two free ones in a row are rare. */
const ANY_PORT_LOW = 10_000
const ANY_PORT_HIGH = 32_000

/** Binds both ports on the addresses, or on every address of this machine when there are none. */
export async function openStunSockets(
  addresses: readonly string[],
  port: number,
  receivers: StunReceivers,
  parts: StunSocketParts,
): Promise<StunSockets> {
  const onAll = (ports: Ports) => openOnAll(addresses, ports, receivers, parts)
  if (addresses.length === 0) return openPorts(port, parts, onAll)
  try {
    return await openPorts(port, parts, ports => openOnGiven(addresses, ports, receivers))
  } catch (thrown) {
    // Behind a one-to-one NAT (most clouds) the announced address is not this machine's: then every address is bound.
    const alone = new Set(addresses.map(isIP)).size === addresses.length
    if (causeCode(thrown) !== 'EADDRNOTAVAIL') throw thrown
    if (!alone) {
      const message = `${thrown instanceof Error ? thrown.message : ''}; stun.addresses must be addresses of this machine`
      throw new CulvertError('bad-config', message, { cause: thrown })
    }
    parts.log.info('a STUN address is not on this machine: announcing it, and listening on all', {
      addresses: addresses.join(','),
    })
    return openPorts(port, parts, onAll)
  }
}

/** Port 0 = two free ones in a row. A given one that is in use may be the previous process's, which is just ending. */
async function openPorts(
  port: number,
  { clock, random, timing }: StunSocketParts,
  open: (ports: Ports) => Promise<Opened>,
): Promise<StunSockets> {
  const at = async (first: number): Promise<StunSockets> => {
    const ports: Ports = [first, first + 1]
    return { ports, ...(await open(ports)) }
  }
  try {
    if (port !== 0) return await retryWhileInUse(clock, timing.bindRetryMs, () => at(port))
    for (let tries = 1; ; tries++) {
      try {
        return await at(random.integer(ANY_PORT_LOW, ANY_PORT_HIGH))
      } catch (thrown) {
        if (tries >= ANY_PORT_TRIES || !isPortInUse(thrown)) throw thrown
      }
    }
  } catch (thrown) {
    if (!isPortInUse(thrown)) throw thrown
    const message = `${thrown.message}; stop the other STUN server or choose another stun.port, or set stun to false`
    throw new CulvertError('port-in-use', message, { cause: thrown })
  }
}

async function openOnGiven(addresses: readonly string[], ports: Ports, receivers: StunReceivers): Promise<Opened> {
  await using opened = new AsyncDisposableStack()
  const udp: readonly [UdpSocket[], UdpSocket[]] = [[], []]
  const reply = (answer: StunAnswer, to: Endpoint) => udp[answer.via.port][answer.via.address]?.send(answer.bytes, to)
  for (const [index, address] of addresses.entries()) {
    for (const portIndex of [0, 1] as const) {
      const at = { address, port: ports[portIndex] }
      const spot = { address: index, port: portIndex }
      opened.use(await listen(at, socket => receivers.onConnection(socket, spot)))
      const socket = opened.use(await openUdpSocket({ family: address.includes(':') ? 6 : 4, ...at }))
      udp[portIndex].push(socket)
      socket.receive((request, from) => receivers.onDatagram(request, from, spot, answer => reply(answer, from)))
    }
  }
  const all = opened.move()
  return { addresses: () => addresses, close: () => all.disposeAsync() }
}

/** `announced`: at most one address of each IP version, by which what comes in is known outside. */
async function openOnAll(
  announced: readonly string[],
  ports: Ports,
  receivers: StunReceivers,
  parts: StunSocketParts,
): Promise<Opened> {
  await using opened = new AsyncDisposableStack()
  const indexOf = (family: number) =>
    Math.max(
      0,
      announced.findIndex(address => isIP(address) === family),
    )
  for (const port of [0, 1] as const) {
    const onConnection = (socket: Socket) => {
      const family = socket.localAddress?.startsWith('::ffff:') ? 4 : isIP(socket.localAddress ?? '')
      receivers.onConnection(socket, { address: indexOf(family), port })
    }
    opened.use(await listen({ port: ports[port] }, onConnection))
  }
  const sockets = opened.use(
    new AddressSockets(ports, parts, (request, from, { family, port, send }) => {
      const spot = { address: indexOf(family), port }
      receivers.onDatagram(request, from, spot, answer => send(answer.via.port, answer.bytes))
    }),
  )
  await sockets.start()
  const all = opened.move()
  return { addresses: () => sockets.addresses(), close: () => all.disposeAsync() }
}

function listen(
  at: { readonly address?: string; readonly port: number },
  onConnection: (socket: Socket) => void,
): Promise<Listener> {
  return listenTcp({ ...at, backlog: BACKLOG, onConnection })
}

function isPortInUse(thrown: unknown): thrown is CulvertError {
  return thrown instanceof CulvertError && thrown.code === 'port-in-use'
}

/** The system's code beneath however many errors of ours. */
function causeCode(thrown: unknown): string | undefined {
  return thrown instanceof CulvertError ? causeCode(thrown.cause) : systemCodeOf(thrown)
}
