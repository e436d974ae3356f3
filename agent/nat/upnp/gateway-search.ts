import type { Clock } from '../../../common/platform/clock.ts'
import type { InterfaceAddress } from '../../../common/platform/network-interfaces.ts'
import { openUdpSocket, type UdpSocket } from '../../../common/platform/udp-socket.ts'
import type { DefaultGateway } from '../default-gateway.ts'
import { homeLinks, isOnLink } from '../home-links.ts'
import { ownLocation, parseSsdp, SEARCH_TARGETS, SSDP_ADDRESS, SSDP_PORT, ssdpSearch } from './ssdp.ts'

/** A device that says it is an internet gateway. */
export interface FoundDevice {
  readonly location: URL
  readonly address: string
  readonly bootId: number | undefined
  /** Our own address on its link. */
  readonly localAddress: string
}

/** Ours: multicast gets lost on wireless links, so it is said three times. */
const SEND_AT_MS = [0, 300, 1000] as const
/** UDA 2.0 §1.3.2: a device answers within MX seconds. */
const MX_S = 1
const MAX_DEVICES = 8

export interface SearchOptions {
  readonly clock: Clock
  readonly interfaces: readonly InterfaceAddress[]
  readonly gateways: readonly DefaultGateway[]
  /** Ends the search. */
  readonly signal: AbortSignal
  /** Called once for each device and description. It must not throw. */
  readonly onDevice: (device: FoundDevice) => void
}

/** Searches on every private link, by multicast and by asking the default gateway itself, until the signal aborts. */
export async function searchGateways(options: SearchOptions): Promise<void> {
  const { clock, signal, gateways } = options
  await using stack = new AsyncDisposableStack()
  const seen = new Set<string>()
  const sockets: { readonly socket: UdpSocket; readonly own: InterfaceAddress }[] = []
  for (const own of homeLinks(options.interfaces, gateways)) {
    const socket = await openOn(own)
    if (!socket) continue
    stack.use(socket)
    sockets.push({ socket, own })
    socket.receive((bytes, from) => {
      const device = deviceOf(bytes, from.address, own)
      if (!device || seen.has(device.location.href) || seen.size >= MAX_DEVICES) return
      seen.add(device.location.href)
      options.onDevice(device)
    })
  }
  const send = () => {
    for (const { socket, own } of sockets) {
      const router = gateways.find(({ address }) => isOnLink(address, own))?.address
      for (const target of SEARCH_TARGETS) {
        socket.send(ssdpSearch(target, MX_S), { address: SSDP_ADDRESS, port: SSDP_PORT })
        if (router) socket.send(ssdpSearch(target, undefined), { address: router, port: SSDP_PORT })
      }
    }
  }
  const timers = SEND_AT_MS.map(delayMs => clock.after(delayMs, send))
  await aborted(signal)
  for (const timer of timers) timer.cancel()
}

/** Binding to the address makes the kernel send multicast on its link. */
async function openOn({ address }: InterfaceAddress): Promise<UdpSocket | undefined> {
  try {
    return await openUdpSocket({ family: 4, address })
  } catch {
    return undefined
  }
}

function deviceOf(bytes: Buffer, from: string, own: InterfaceAddress): FoundDevice | undefined {
  if (!isOnLink(from, own) || from === own.address) return undefined
  const message = parseSsdp(bytes)
  if (message?.kind !== 'answer') return undefined
  const location = ownLocation(message.location, from)
  return location && { location, address: from, bootId: message.bootId, localAddress: own.address }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
