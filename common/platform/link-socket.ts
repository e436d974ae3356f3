import { createSocket, type Socket } from 'node:dgram'
import type { Endpoint } from '../wire/endpoint.ts'

/** One end on one link, in one IP version. What it sends resolves when it has left. */
export interface LinkSocket {
  /** It can speak and hear. */
  readonly ready: boolean
  /** Where questions leave from. */
  readonly ownPort: number | undefined
  /** To all of the link, from the group's port. */
  announce(bytes: Uint8Array): Promise<void>
  /** To all of the link, or to one, from a port that answers may come to. */
  ask(bytes: Uint8Array, to?: Endpoint): Promise<void>
  /** To one, from the group's port. */
  answer(bytes: Uint8Array, to: Endpoint): Promise<void>
  close(): void
}

export type OpenLinkSocket = (options: LinkSocketOptions) => LinkSocket

export interface LinkSocketOptions {
  /** A multicast group of one link; an IPv6 one with its zone, as in `ff02::fb%eth0`. */
  readonly group: Endpoint
  /** This machine's address on the link; an IPv6 one with its zone. */
  readonly address: string
  /** It can speak and hear from now on. */
  readonly onReady: () => void
  /** Called for each datagram to the group, or to the port that we ask from. It must not throw. */
  readonly onDatagram: (bytes: Buffer, from: Endpoint) => void
  /** The group cannot be heard, or not any more. Called once at most. */
  readonly onFailure: (cause: Error) => void
}

/** RFC 6762 §11: 255, so that who looks can see that no router passed it on. */
const HOPS = 255

/**
 * Speaks and hears on one link and in one IP version, by multicast. The group's port is shared with other programs
 * (RFC 6762 §15.1): what comes to this machine's own address there is theirs, so questions leave from a port of our own.
 */
class UdpLinkSocket implements LinkSocket {
  readonly #group: Endpoint
  readonly #shared: Socket
  readonly #own: Socket
  #ready = false
  #closed = false

  constructor({ group, address, onReady, onDatagram, onFailure }: LinkSocketOptions) {
    this.#group = group
    const type = group.address.includes(':') ? 'udp6' : 'udp4'
    this.#shared = createSocket({ type, reuseAddr: true })
    this.#own = createSocket({ type })
    const zone = address.includes('%') ? `::${address.slice(address.indexOf('%'))}` : address
    const fail = (cause: Error) => {
      if (this.#closed) return
      this.close()
      onFailure(cause)
    }
    const hear = (bytes: Buffer, from: Endpoint) => {
      try {
        onDatagram(bytes, { address: from.address, port: from.port })
      } catch {
        // It must not throw; a packet of a stranger would end the process.
      }
    }
    for (const socket of [this.#shared, this.#own]) {
      socket.on('error', fail)
      socket.on('message', hear)
      socket.unref()
    }
    const guarded = (work: () => void) => () => {
      try {
        if (!this.#closed) work()
      } catch (thrown) {
        // The address may be gone already, or its link without multicast.
        fail(thrown as Error)
      }
    }
    const speaksThere = (socket: Socket) => {
      socket.setMulticastInterface(zone)
      socket.setMulticastTTL(HOPS)
      socket.setTTL(HOPS)
    }
    const joined = guarded(() => {
      speaksThere(this.#shared)
      this.#shared.addMembership(plain(group.address), zone)
      this.#own.bind(
        { port: 0, address, exclusive: true },
        guarded(() => {
          speaksThere(this.#own)
          this.#ready = true
          onReady()
        }),
      )
    })
    // To the group, so that datagrams to our own address go to the program that waits for them.
    this.#shared.bind({ port: group.port, address: group.address, exclusive: true }, joined)
  }

  get ready(): boolean {
    return this.#ready && !this.#closed
  }

  get ownPort(): number | undefined {
    return this.ready ? this.#own.address().port : undefined
  }

  announce(bytes: Uint8Array): Promise<void> {
    return this.#send(this.#shared, bytes, this.#group)
  }

  ask(bytes: Uint8Array, to = this.#group): Promise<void> {
    return this.#send(this.#own, bytes, to)
  }

  answer(bytes: Uint8Array, to: Endpoint): Promise<void> {
    return this.#send(this.#shared, bytes, to)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const socket of [this.#shared, this.#own]) {
      try {
        socket.close()
      } catch {
        // One that was never bound.
      }
    }
  }

  #send(socket: Socket, bytes: Uint8Array, to: Endpoint): Promise<void> {
    // Node throws at port 0, which who asks for no answer sends from (RFC 768).
    if (!this.ready || to.port === 0) return Promise.resolve()
    return new Promise(sent => socket.send(bytes, to.port, to.address, () => sent()))
  }
}

export const openLinkSocket: OpenLinkSocket = options => new UdpLinkSocket(options)

function plain(address: string): string {
  return address.replace(/%.*$/, '')
}
