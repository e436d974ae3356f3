import type { Random } from '../../common/platform/random.ts'
import type { UdpSocket } from '../../common/platform/udp-socket.ts'
import { openUdxSocket, type UdxOptions, type UdxSocket } from '../../common/platform/udx-socket.ts'
import type { UdxStream } from '../../common/platform/udx-stream.ts'
import { type Endpoint, formatEndpoint } from '../../common/wire/endpoint.ts'
import { reachContent, reachDatagram } from '../../common/wire/reach.ts'
import { udpPacketKind } from '../../common/wire/udp-packet.ts'
import { StunSocket } from './stun-client.ts'

const IPV4_UDP_BYTES = 28
const IPV6_UDP_BYTES = 48

type Receiver = (bytes: Buffer, from: Endpoint) => void

/** Sealed datagrams with one peer over one path; it lives as long as the path. */
export interface DatagramChannel {
  /** The largest datagram that surely fits the line; it grows while UDX finds out that more does. */
  readonly maxBytes: number
  /** Sends as it is, without a promise that it arrives. */
  send(bytes: Uint8Array): void
  /** Sets the one receiver of what comes from the path's other end; it must not throw. Nothing is proven yet. */
  receive(handler: (bytes: Buffer) => void): void
  close(): void
}

/** One UDP port of ours, shared by STUN, probes, UDX streams and sealed datagrams, told apart by their first byte. */
export class UdpPort implements AsyncDisposable {
  readonly stun: StunSocket
  readonly #socket: UdxSocket
  readonly #datagrams = new Map<string, (bytes: Buffer) => void>()
  #onProbe: Receiver = () => undefined
  #answerToReach: (content: Uint8Array) => Uint8Array | undefined = () => undefined

  /** Binds it; a port in use is the error `port-in-use`. */
  static async open(options: UdxOptions): Promise<UdpPort> {
    return new UdpPort(await openUdxSocket(options))
  }

  constructor(socket: UdxSocket) {
    this.#socket = socket
    let onStun: Receiver = () => undefined
    const view: UdpSocket = {
      local: socket.local,
      send: (bytes, to) => socket.send(bytes, to),
      receive: handler => {
        onStun = handler
      },
      close: () => Promise.resolve(),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }
    this.stun = new StunSocket(view)
    socket.receive((bytes, from) => {
      switch (udpPacketKind(bytes)) {
        case 'stun':
          onStun(bytes, from)
          return
        case 'probe':
          this.#onProbe(bytes, from)
          return
        case 'reach': {
          const content = reachContent(bytes)
          const answer = content && this.#answerToReach(content)
          if (answer) socket.send(reachDatagram(answer), from)
          return
        }
        case 'datagram':
          this.#datagrams.get(formatEndpoint(from))?.(bytes)
          return
        default:
          return
      }
    })
  }

  get local(): Endpoint {
    return this.#socket.local
  }

  send(bytes: Uint8Array, to: Endpoint): void {
    this.#socket.send(bytes, to)
  }

  /** Sets the one receiver of probes; it must not throw. */
  onProbe(handler: Receiver): void {
    this.#onProbe = handler
  }

  /** Sets who answers a relay that looks whether the port is open from outside; it must not throw. */
  onReach(answer: (content: Uint8Array) => Uint8Array | undefined): void {
    this.#answerToReach = answer
  }

  /** Makes one end of a UDX stream on this port. */
  openStream(random: Random): UdxStream {
    return this.#socket.openStream(random)
  }

  /** `packetBytes`: the largest IP packet that is known to pass. */
  datagramsWith(remote: Endpoint, packetBytes: () => number): DatagramChannel {
    const key = formatEndpoint(remote)
    const headerBytes = remote.address.includes(':') ? IPV6_UDP_BYTES : IPV4_UDP_BYTES
    let receiver: ((bytes: Buffer) => void) | undefined
    return {
      get maxBytes() {
        return packetBytes() - headerBytes
      },
      send: bytes => this.#socket.send(bytes, remote),
      receive: handler => {
        receiver = handler
        this.#datagrams.set(key, handler)
      },
      close: () => {
        // A newer path with the same end may have taken over.
        if (receiver && this.#datagrams.get(key) === receiver) this.#datagrams.delete(key)
      },
    }
  }

  close(): Promise<void> {
    this.#datagrams.clear()
    return this.#socket.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
