import type { Socket } from 'node:net'
import { asCulvertError } from '../../common/errors.ts'
import { listenUdp, type UdpListener } from '../../common/platform/local-udp.ts'
import { addressToBytes } from '../../common/wire/address-bytes.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import type { PeerService } from '../config/name.ts'
import type { ListenContext } from './listening.ts'
import { OutgoingFlows } from './outgoing-flows.ts'
import { resolveServiceName } from './service-name.ts'
import { readSocksDatagram, replyForError, SOCKS_REPLY, type SocksDatagram, socksReply } from './socks5.ts'

/** Services that one client talks to at a time; each has a table of flows. */
const MAX_SERVICES = 16

/**
 * UDP for one SOCKS5 client (RFC 1928 §6, §7): a socket beside its TCP connection, as long as that lasts. Datagrams are
 * taken from the client's own address only, and from the port that spoke first.
 */
export async function associateUdp(socket: Socket, gone: AbortSignal, context: ListenContext): Promise<void> {
  let udp: UdpListener
  try {
    udp = await listenUdp(plainAddress(socket.localAddress ?? ''), 0)
  } catch (thrown) {
    const reply = replyForError(asCulvertError(thrown, 'io', 'no UDP socket').code)
    socket.end(socksReply(reply), () => socket.destroy())
    return
  }
  const association = new Association(udp, plainAddress(socket.remoteAddress ?? ''), context)
  const close = () => association.close()
  gone.addEventListener('abort', close, { once: true })
  if (gone.aborted) {
    close()
    return
  }
  // The client's end of the connection is the end of the association.
  socket.once('end', () => socket.end())
  socket.resume()
  const { address, port } = udp.local
  socket.write(socksReply(SOCKS_REPLY.succeeded, { address: Buffer.from(addressToBytes(address)), port }))
}

class Association {
  readonly #udp: UdpListener
  readonly #clientAddress: string
  readonly #context: ListenContext
  readonly #services = new Map<string, OutgoingFlows>()
  #client: Endpoint | undefined

  constructor(udp: UdpListener, clientAddress: string, context: ListenContext) {
    this.#udp = udp
    this.#clientAddress = clientAddress
    this.#context = context
    udp.receive((bytes, from) => this.#receive(bytes, from))
  }

  close(): void {
    for (const flows of this.#services.values()) flows.close()
    void this.#udp.close()
  }

  #receive(bytes: Buffer, from: Endpoint): void {
    if (from.address !== this.#clientAddress || (this.#client && this.#client.port !== from.port)) return
    const datagram = decode(bytes)
    if (datagram?.domain === undefined) return
    const to = resolveServiceName(datagram.domain, this.#context.peerNames())
    const flows = to && this.#flowsTo(to)
    if (!flows) return
    this.#client ??= from
    const { head, data } = datagram
    flows.send(head.toString('latin1'), data, answer => this.#udp.send(Buffer.concat([head, answer]), from))
  }

  #flowsTo(to: PeerService): OutgoingFlows | undefined {
    const key = `${to.peer}/${to.service}`
    const known = this.#services.get(key)
    if (known || this.#services.size >= MAX_SERVICES) return known
    const { clock, open, complain } = this.#context
    const flows = new OutgoingFlows({
      clock,
      open: signal => open(to.peer, to.service, signal, 'datagrams'),
      onFault: error => complain(to, error),
    })
    this.#services.set(key, flows)
    return flows
  }
}

function decode(bytes: Buffer): SocksDatagram | undefined {
  try {
    return readSocksDatagram(bytes)
  } catch {
    // UDP has nobody to tell.
    return undefined
  }
}

/** Without the prefix that a socket of both families puts before an IPv4 address. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=[\d.]+$)/, '')
}
