import { CulvertError, reasonOf, systemCodeOf } from '../errors.ts'
import type { Endpoint } from '../wire/endpoint.ts'
import type { Random } from './random.ts'
import type { UdpSocket } from './udp-socket.ts'
import { loadUdxLibrary, type RawUdxSocket, type UdxLibrary } from './udx-library.ts'
import { UdxStream } from './udx-stream.ts'

/**
 * A UDP socket that carries UDX streams besides datagrams, so that the port which STUN saw and probes opened is the one
 * that data flows over. UDX keeps the packets of its streams to itself; every other datagram goes to the receiver.
 */
export interface UdxSocket extends UdpSocket {
  /** Makes one end of a stream; each side tells the other its `id` and then connects. */
  openStream(random: Random): UdxStream
}

export interface UdxOptions {
  readonly family: 4 | 6
  readonly address?: string
  /** 0 = any free port. */
  readonly port?: number
}

/**
 * UDX finds streams in a table that it doubles until no two ids fall into one place, so ids differ in these bits; the
 * rest is there so that a stranger has 2^32 to guess from.
 */
const PLACE_MASK = 0xfff
/** The first byte of every packet of UDX. */
const UDX_BYTE = 0xff

/**
 * Datagrams that may wait for the system to take them, as when the line is slower than who sends; the library itself sets
 * no limit. Of the largest, 380 KiB.
 */
const MAX_UNSENT = 256

/** Places of the ids that are in use: the streams of all sockets share one table. */
const places = new Set<number>()

/** Binds a socket; a port in use is the error `port-in-use`. It keeps the process alive until it is closed. */
export async function openUdxSocket(options: UdxOptions): Promise<UdxSocket> {
  const library = await loadUdxLibrary()
  const { family, port = 0, address = family === 4 ? '0.0.0.0' : '::' } = options
  const socket = new library.Socket(library.shared, { ipv6Only: family === 6 })
  try {
    socket.bind(port, address)
  } catch (cause) {
    void socket.close()
    const inUse = systemCodeOf(cause) === 'EADDRINUSE'
    const where = `UDP ${address}:${port}`
    throw new CulvertError(inUse ? 'port-in-use' : 'io', `cannot bind ${where}: ${reasonOf(cause)}`, { cause })
  }
  return new BoundSocket(library, socket)
}

class BoundSocket implements UdxSocket {
  readonly local: Endpoint
  readonly #library: UdxLibrary
  readonly #socket: RawUdxSocket
  readonly #streams = new Set<UdxStream>()
  #handler: ((bytes: Buffer, from: Endpoint) => void) | undefined

  constructor(library: UdxLibrary, socket: RawUdxSocket) {
    this.#library = library
    this.#socket = socket
    const { host, port } = socket.address()
    this.local = { address: host, port }
    socket.on('message', (bytes: Buffer, from: { readonly host: string; readonly port: number }) => {
      // Late ones of streams that have ended.
      if (bytes[0] === UDX_BYTE) return
      try {
        this.#handler?.(bytes, { address: from.host, port: from.port })
      } catch {
        // It must not throw; here, inside a native callback, that would end the process.
      }
    })
  }

  send(bytes: Uint8Array, to: Endpoint): void {
    const { closing, _reqs, _free } = this.#socket
    if (closing || _reqs.length - _free.length >= MAX_UNSENT) return
    try {
      this.#socket.trySend(bytes, to.port, to.address)
    } catch {
      // An address that the system does not take; UDP promises nothing.
    }
  }

  receive(handler: (bytes: Buffer, from: Endpoint) => void): void {
    this.#handler = handler
  }

  openStream(random: Random): UdxStream {
    if (this.#socket.closing) throw new CulvertError('io', 'the UDP socket is closed')
    if (places.size > PLACE_MASK / 2) throw new CulvertError('busy', `${places.size} UDX streams are open already`)
    const id = drawId(random)
    const place = id & PLACE_MASK
    const onClosed = () => {
      places.delete(place)
      this.#streams.delete(stream)
    }
    let stream: UdxStream
    try {
      stream = new UdxStream({ ...this.#library, socket: this.#socket, id, onClosed })
    } catch (cause) {
      throw new CulvertError('io', `no UDX stream could be made: ${reasonOf(cause)}`, { cause })
    }
    places.add(place)
    this.#streams.add(stream)
    return stream
  }

  close(): Promise<void> {
    this.#handler = undefined
    const closed = this.#socket.close()
    for (const stream of [...this.#streams]) stream.destroy()
    return closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

function drawId(random: Random): number {
  for (;;) {
    const id = random.integer(1, 2 ** 32)
    if (!places.has(id & PLACE_MASK)) return id
  }
}
