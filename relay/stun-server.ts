import type { Socket } from 'node:net'
import { CulvertError, systemCodeOf } from '../common/errors.ts'
import type { Clock } from '../common/platform/clock.ts'
import type { Log } from '../common/platform/log.ts'
import type { Random } from '../common/platform/random.ts'
import { type Listener, listenTcp } from '../common/platform/tcp.ts'
import { openUdpSocket, type UdpSocket } from '../common/platform/udp-socket.ts'
import { AddressCounts, addressKey } from '../common/wire/address-key.ts'
import { type Endpoint, plainAddress } from '../common/wire/endpoint.ts'
import type { Counters } from './counters.ts'
import { KeyedBuckets } from './quota.ts'
import { answerStun, type StunLayout, type StunSpot, stunFrameLength } from './stun-answer.ts'
import type { RelayTiming } from './timing.ts'

export interface StunServerParts {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly counters: Counters
  readonly timing: RelayTiming
}

export interface StunServer extends AsyncDisposable {
  readonly layout: StunLayout
  close(): Promise<void>
}

/** One address may stand for many homes (carrier NAT), each of which asks some ten times when it starts. */
const SOURCE_LIMITS = { perSecond: 200, burst: 400 }
/** In all; a core answers several times as many. */
const TOTAL_LIMITS = { perSecond: 20_000, burst: 20_000 }
const MAX_SOURCES = 20_000
const MAX_TCP_CONNECTIONS = 4_096
const MAX_TCP_PER_ADDRESS = 64
const BACKLOG = 1024
const ANY_PORT_TRIES = 20
/** Below the range that Linux takes ports of outgoing connections from: there, two free ones in a row are rare. */
const ANY_PORT_LOW = 10_000
const ANY_PORT_HIGH = 32_000

interface Sockets {
  /** By port index, then by address index; a wildcard layout has IPv4 and IPv6 there. */
  readonly udp: readonly [readonly UdpSocket[], readonly UdpSocket[]]
  readonly tcp: readonly Listener[]
}

/**
 * Answers binding requests over UDP and TCP on `port` and `port + 1` of each address, or of all when none is given.
 * Port 0 = any two ports in a row. A port in use is `port-in-use`; two addresses that are not here are `bad-config`.
 */
export async function openStunServer(
  addresses: readonly string[],
  port: number,
  parts: StunServerParts,
): Promise<StunServer> {
  const { clock, counters, timing } = parts
  const perSource = new KeyedBuckets(() => SOURCE_LIMITS, MAX_SOURCES)
  const inAll = new KeyedBuckets(() => TOTAL_LIMITS, 1)
  const tcpCounts = new AddressCounts()
  const tcpSockets = new Set<Socket>()
  let layout: StunLayout = { addresses, ports: [port, port + 1] }

  const mayAnswer = (from: Endpoint): boolean => {
    const now = clock.now()
    const allowed = perSource.take(addressKey(from.address), 1, now) && inAll.take('', 1, now)
    if (!allowed) counters.refuse('stun-rate')
    return allowed
  }
  const onConnection = (socket: Socket, spot: StunSpot) => {
    const from = { address: plainAddress(socket.remoteAddress ?? ''), port: socket.remotePort ?? 0 }
    const key = addressKey(from.address)
    if (from.port === 0 || tcpSockets.size >= MAX_TCP_CONNECTIONS || !tcpCounts.add(key, MAX_TCP_PER_ADDRESS)) {
      counters.refuse('stun-connections')
      socket.destroy()
      return
    }
    tcpSockets.add(socket)
    const timer = clock.after(timing.stunTcpMs, () => socket.destroy())
    socket.once('close', () => {
      timer.cancel()
      tcpSockets.delete(socket)
      tcpCounts.remove(key)
    })
    socket.once('end', () => socket.end())
    serveTcp(socket, request => {
      if (!mayAnswer(from)) return undefined
      const answer = answerStun(request, from, spot, layout, 'tcp')
      if (answer) counters.stunAnswers++
      else counters.refuse('stun-malformed')
      return answer?.bytes
    })
  }

  const { sockets, ports } = await openAnnounced(addresses, port, parts, onConnection)
  layout = { addresses, ports }
  for (const portIndex of [0, 1] as const) {
    for (const [address, socket] of sockets.udp[portIndex].entries()) {
      const spot = { address, port: portIndex }
      socket.receive((request, from) => {
        if (from.port === 0 || !mayAnswer(from)) return
        const answer = answerStun(request, from, spot, layout, 'udp')
        if (!answer) {
          counters.refuse('stun-malformed')
          return
        }
        counters.stunAnswers++
        sockets.udp[answer.via.port][answer.via.address]?.send(answer.bytes, from)
      })
    }
  }
  const close = async () => {
    for (const socket of tcpSockets) socket.destroy()
    await closeAll(sockets)
  }
  return { layout, close, [Symbol.asyncDispose]: close }
}

/** Answers each whole request on the connection; anything else closes it. */
function serveTcp(socket: Socket, answer: (request: Uint8Array) => Uint8Array | undefined): void {
  let held = Buffer.alloc(0)
  socket.on('data', chunk => {
    try {
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
      for (;;) {
        const length = stunFrameLength(held)
        if (length === undefined || held.length < length) break
        const bytes = answer(held.subarray(0, length))
        if (!bytes || socket.writableLength > 0) {
          socket.destroy()
          return
        }
        socket.write(bytes)
        held = held.subarray(length)
      }
    } catch {
      // Not STUN. There is nobody to tell: strangers get no error text.
      socket.destroy()
    }
  })
}

/** Behind a one-to-one NAT (most clouds) the announced address is not this machine's: then every address is bound. */
async function openAnnounced(
  addresses: readonly string[],
  port: number,
  parts: StunServerParts,
  onConnection: (socket: Socket, spot: StunSpot) => void,
): ReturnType<typeof openSockets> {
  try {
    return await openSockets(addresses, port, parts.random, onConnection)
  } catch (thrown) {
    if (addresses.length !== 1 || causeCode(thrown) !== 'EADDRNOTAVAIL') throw thrown
    parts.log.info('STUN address is not on this machine: announcing it, and listening on all', {
      address: addresses[0],
    })
    return openSockets([], port, parts.random, onConnection)
  }
}

async function openSockets(
  addresses: readonly string[],
  port: number,
  random: Random,
  onConnection: (socket: Socket, spot: StunSpot) => void,
): Promise<{ readonly sockets: Sockets; readonly ports: readonly [number, number] }> {
  for (let tries = 1; ; tries++) {
    const first = port === 0 ? random.integer(ANY_PORT_LOW, ANY_PORT_HIGH) : port
    try {
      const ports = [first, first + 1] as const
      return { sockets: await openPorts(addresses, ports, onConnection), ports }
    } catch (thrown) {
      const retry =
        port === 0 && tries < ANY_PORT_TRIES && thrown instanceof CulvertError && thrown.code === 'port-in-use'
      if (!retry) throw remedied(thrown)
    }
  }
}

async function openPorts(
  addresses: readonly string[],
  ports: readonly [number, number],
  onConnection: (socket: Socket, spot: StunSpot) => void,
): Promise<Sockets> {
  const udp: [UdpSocket[], UdpSocket[]] = [[], []]
  const tcp: Listener[] = []
  const sockets: Sockets = { udp, tcp }
  try {
    for (const portIndex of [0, 1] as const) {
      const port = ports[portIndex]
      if (addresses.length === 0) {
        udp[portIndex].push(await openUdpSocket({ family: 4, port }))
        const six = await openIfIpv6(() => openUdpSocket({ family: 6, port }))
        if (six) udp[portIndex].push(six)
        tcp.push(
          await listenTcp({
            port,
            backlog: BACKLOG,
            onConnection: s => onConnection(s, { address: 0, port: portIndex }),
          }),
        )
        continue
      }
      for (const [index, address] of addresses.entries()) {
        udp[portIndex].push(await openUdpSocket({ family: address.includes(':') ? 6 : 4, address, port }))
        const spot = { address: index, port: portIndex }
        tcp.push(await listenTcp({ address, port, backlog: BACKLOG, onConnection: s => onConnection(s, spot) }))
      }
    }
    return sockets
  } catch (thrown) {
    await closeAll(sockets)
    throw thrown
  }
}

/** A machine may have no IPv6; then nobody can ask over it either. */
async function openIfIpv6(open: () => Promise<UdpSocket>): Promise<UdpSocket | undefined> {
  try {
    return await open()
  } catch (thrown) {
    if (causeCode(thrown) === 'EADDRINUSE') throw thrown
    return undefined
  }
}

function remedied(thrown: unknown): unknown {
  if (!(thrown instanceof CulvertError)) return thrown
  if (causeCode(thrown) === 'EADDRNOTAVAIL') {
    const message = `${thrown.message}; stun.addresses must be addresses of this machine`
    return new CulvertError('bad-config', message, { cause: thrown })
  }
  if (thrown.code !== 'port-in-use') return thrown
  const message = `${thrown.message}; stop the other STUN server or choose another stun.port, or set stun to false`
  return new CulvertError('port-in-use', message, { cause: thrown })
}

/** The system's code beneath however many errors of ours. */
function causeCode(thrown: unknown): string | undefined {
  return thrown instanceof CulvertError ? causeCode(thrown.cause) : systemCodeOf(thrown)
}

async function closeAll(sockets: Sockets): Promise<void> {
  const all = [...sockets.udp[0], ...sockets.udp[1], ...sockets.tcp]
  await Promise.all(all.map(socket => socket.close()))
}
