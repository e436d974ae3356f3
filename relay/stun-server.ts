import type { Socket } from 'node:net'
import { AddressCounts, addressKey } from '../common/wire/address-key.ts'
import { type Endpoint, plainAddress } from '../common/wire/endpoint.ts'
import type { Counters } from './counters.ts'
import { KeyedBuckets } from './quota.ts'
import {
  answerStun,
  reachableAddresses,
  type StunLayout,
  type StunSpot,
  stunEndpoints,
  stunFrameLength,
} from './stun-answer.ts'
import { openStunSockets, type StunReceivers, type StunSocketParts } from './stun-sockets.ts'

export interface StunServerParts extends StunSocketParts {
  readonly counters: Counters
}

export interface StunServer extends AsyncDisposable {
  readonly layout: StunLayout
  /** The endpoints to tell an agent whose line came in at this address of ours. */
  endpointsFor(localAddress: string): readonly Endpoint[]
  /** Lets go of all ports at once. */
  close(): Promise<void>
}

/** One address may stand for many homes (carrier NAT), each of which asks some ten times when it starts. */
const SOURCE_LIMITS = { perSecond: 200, burst: 400 }
/** In all; a core answers several times as many. */
const TOTAL_LIMITS = { perSecond: 20_000, burst: 20_000 }
const MAX_SOURCES = 20_000
const MAX_TCP_CONNECTIONS = 4_096
const MAX_TCP_PER_ADDRESS = 64

/**
 * Answers binding requests over UDP and TCP on `port` and `port + 1` of each address, or of every address of this machine
 * when none is given. Port 0 = any two ports in a row. A port in use is `port-in-use`; two addresses of one IP version of
 * which one is not here are `bad-config`.
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

  const onDatagram: StunReceivers['onDatagram'] = (request, from, spot, reply) => {
    if (from.port === 0 || !mayAnswer(from)) return
    const answer = answerStun(request, from, spot, layout, 'udp')
    if (!answer) {
      counters.refuse('stun-malformed')
      return
    }
    counters.stunAnswers++
    reply(answer)
  }
  const sockets = await openStunSockets(addresses, port, { onDatagram, onConnection }, parts)
  layout = { addresses, ports: sockets.ports }
  const close = async () => {
    for (const socket of tcpSockets) socket.destroy()
    await sockets.close()
  }
  return {
    layout,
    endpointsFor: local => stunEndpoints(layout, reachableAddresses(local, sockets.addresses())),
    close,
    [Symbol.asyncDispose]: close,
  }
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
