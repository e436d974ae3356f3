import { createSocket } from 'node:dgram'
import { isIPv4 } from 'node:net'
import type { Endpoint } from '../wire/endpoint.ts'

export interface MulticastOptions {
  /** The group to hear; its port is shared with whoever else listens to it. */
  readonly group: Endpoint
  /** The links to listen on: own IPv4 addresses, or for an IPv6 group `::%INTERFACE`. One that cannot join is left out. */
  readonly interfaceAddresses: readonly string[]
  /** Called for each datagram to the port. It must not throw. */
  readonly onDatagram: (bytes: Buffer, from: Endpoint) => void
}

export interface MulticastListener {
  /** Stops at once. */
  close(): void
}

/** Hears a multicast group. Never fails: a machine where it cannot be heard hears nothing. */
export function listenMulticast(options: MulticastOptions): MulticastListener {
  const { group, interfaceAddresses, onDatagram } = options
  const ipv4 = isIPv4(group.address)
  const socket = ipv4
    ? createSocket({ type: 'udp4', reuseAddr: true })
    : createSocket({ type: 'udp6', reuseAddr: true, ipv6Only: true })
  let closed = false
  const close = () => {
    if (closed) return
    closed = true
    socket.close()
  }
  socket.on('error', close)
  socket.on('message', (bytes, from) => {
    try {
      onDatagram(bytes, { address: from.address, port: from.port })
    } catch {
      // It must not throw; a packet of a stranger would end the process.
    }
  })
  // Bound to the group, so that datagrams to our own address go to the program that waits for them. A group of IPv6 links
  // would have to be bound on one link.
  socket.bind({ port: group.port, address: ipv4 ? group.address : '::', exclusive: true }, () => {
    for (const address of interfaceAddresses) {
      try {
        socket.addMembership(group.address, address)
      } catch {
        // The address may be gone already, or its link without multicast.
      }
    }
  })
  socket.unref()
  return { close }
}
