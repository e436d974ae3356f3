import type { Socket } from 'node:net'
import { CulvertError } from '../../common/errors.ts'
import { listenTcp } from '../../common/platform/tcp.ts'
import { openUdpSocket, type UdpSocket } from '../../common/platform/udp-socket.ts'
import { type Endpoint, plainAddress } from '../../common/wire/endpoint.ts'
import { decodeStun, encodeStun, type StunMessage } from '../../common/wire/stun.ts'

/** What a test may bend: return undefined to stay silent, or another answer. */
export type Bend = (answer: StunMessage, at: Endpoint, from: Endpoint) => StunMessage | undefined

export interface StunResponder extends AsyncDisposable {
  /** address-major: [a:p, a:q, b:p, b:q]. */
  readonly endpoints: readonly Endpoint[]
  readonly requests: () => number
}

/**
 * A small STUN server on every pair of the addresses and two ports, UDP and TCP, with RFC 5780's changed answers when it
 * has two addresses.
 */
export async function startStunResponder(
  addresses: readonly string[],
  bend: Bend = answer => answer,
): Promise<StunResponder> {
  for (let tries = 5; ; tries--) {
    try {
      return await startOnFreePorts(addresses, bend)
    } catch (thrown) {
      // The system chose ports that are free for TCP at one address; somebody may have them for UDP, or at the other.
      if (tries === 0 || !(thrown instanceof CulvertError) || thrown.code !== 'port-in-use') throw thrown
    }
  }
}

async function startOnFreePorts(addresses: readonly string[], bend: Bend): Promise<StunResponder> {
  await using stack = new AsyncDisposableStack()
  let requests = 0
  const connections = new Set<Socket>()
  const ports: number[] = []
  const sockets: UdpSocket[] = []
  const socketAt = (address: string, port: number) =>
    sockets.find(({ local }) => local.address === address && local.port === port)
  const otherThan = (values: readonly (string | number)[], value: string | number) =>
    values.find(candidate => candidate !== value) ?? value

  const answerTo = (request: StunMessage, at: Endpoint, from: Endpoint): StunMessage => ({
    class: 'success',
    method: 'binding',
    transactionId: request.transactionId,
    xorMappedAddress: from,
    ...(addresses.length > 1
      ? { otherAddress: { address: String(otherThan(addresses, at.address)), port: Number(otherThan(ports, at.port)) } }
      : {}),
  })

  const serve = (connection: Socket): void => {
    const at = { address: plainAddress(connection.localAddress ?? ''), port: connection.localPort ?? 0 }
    connection.on('data', bytes => {
      const request = decodeStun(bytes)
      if (!request) return
      requests++
      const from = { address: plainAddress(connection.remoteAddress ?? ''), port: connection.remotePort ?? 0 }
      const answer = bend(answerTo(request, at, from), at, from)
      if (answer) connection.write(encodeStun(answer))
    })
    connection.on('end', () => connection.end())
    connections.add(connection)
    connection.on('close', () => connections.delete(connection))
  }
  const openBoth = async (address: string, port: number): Promise<number> => {
    // TCP first: where ended connections linger, the system knows which ports they leave for listening.
    const listener = stack.use(await listenTcp({ address, port, onConnection: serve }))
    listener.server.unref()
    const { local } = listener
    sockets.push(stack.use(await openUdpSocket({ family: address.includes(':') ? 6 : 4, ...local })))
    return local.port
  }

  for (let index = 0; index < 2; index++) ports.push(await openBoth(addresses[0] ?? '', 0))
  for (const address of addresses.slice(1)) {
    for (const port of ports) await openBoth(address, port)
  }
  for (const socket of sockets) {
    const at = socket.local
    socket.receive((bytes, from) => {
      const request = decodeStun(bytes)
      if (request?.class !== 'request') return
      requests++
      const change = request.changeRequest
      const address = change?.address ? String(otherThan(addresses, at.address)) : at.address
      const port = change?.port ? Number(otherThan(ports, at.port)) : at.port
      if (change?.address && address === at.address) {
        const { transactionId } = request
        const refusal = { class: 'error', method: 'binding', transactionId, errorCode: 420 } as const
        socket.send(encodeStun(refusal), from)
        return
      }
      const answer = bend(answerTo(request, at, from), at, from)
      if (answer) socketAt(address, port)?.send(encodeStun(answer), from)
    })
  }
  const owned = stack.move()
  return {
    endpoints: sockets.map(({ local }) => local),
    requests: () => requests,
    [Symbol.asyncDispose]() {
      for (const connection of connections) connection.destroy()
      return owned.disposeAsync()
    },
  }
}
