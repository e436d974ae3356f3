/**
 * A small RFC 5780 responder, run on the lab's relay host:
 *
 *   node stun-responder.ts PORT,OTHERPORT ADDRESS,OTHERADDRESS [ADDRESS6,OTHERADDRESS6]
 *
 * It answers over UDP (with CHANGE-REQUEST) and TCP on both ports of each address, and writes "ready" when it listens.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, isIPv6, type Socket } from 'node:net'
import {
  type Address,
  decodeStun,
  encodeStun,
  STUN_HEADER_BYTES,
  type StunMessage,
  stunLength,
} from './stun-message.ts'

type Pair<T> = readonly [T, T]

/** A request is at most this long; a longer one is no probe of ours. */
const MAX_REQUEST = 512

function answer({ transaction }: StunMessage, mapped: Address, other: Address): Buffer {
  return encodeStun({ type: 'response', transaction, mapped, other })
}

async function listenUdp(ports: Pair<number>, hosts: Pair<string>): Promise<void> {
  const open = async (host: string, port: number): Promise<UdpSocket> => {
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4').bind(port, host)
    await once(socket, 'listening')
    return socket
  }
  const all = await Promise.all(hosts.map(host => Promise.all(ports.map(port => open(host, port)))))
  all.forEach((row, h) => {
    row.forEach((socket, p) => {
      const other = { host: hosts[h === 0 ? 1 : 0], port: ports[p === 0 ? 1 : 0] }
      socket.on('message', (bytes, from) => {
        const request = bytes.length > MAX_REQUEST ? null : decodeStun(bytes)
        if (request?.type !== 'request') return
        const source = all[request.change?.address ? 1 - h : h]?.[request.change?.port ? 1 - p : p]
        source?.send(answer(request, { host: from.address, port: from.port }, other), from.port, from.address)
      })
    })
  })
}

async function listenTcp(ports: Pair<number>, hosts: Pair<string>): Promise<void> {
  const open = async (host: string, port: number, other: Address): Promise<void> => {
    const server = createServer(socket => serve(socket, other)).listen(port, host)
    await once(server, 'listening')
  }
  await Promise.all(
    hosts.flatMap((host, h) =>
      ports.map((port, p) => open(host, port, { host: hosts[h === 0 ? 1 : 0], port: ports[p === 0 ? 1 : 0] })),
    ),
  )
}

/** Answers the one request of a connection, which the client ends. */
function serve(socket: Socket, other: Address): void {
  let got: Buffer = Buffer.alloc(0)
  socket.on('error', () => socket.destroy())
  socket.on('data', (bytes: Buffer) => {
    got = Buffer.concat([got, bytes])
    const whole = got.length >= STUN_HEADER_BYTES && got.length >= stunLength(got)
    const request = whole ? decodeStun(got) : null
    const { remoteAddress: host, remotePort: port } = socket
    if (request?.type === 'request' && host !== undefined && port !== undefined) {
      socket.write(answer(request, { host, port }, other))
    } else if (whole || got.length > MAX_REQUEST) {
      socket.destroy()
    }
  })
}

function pairOf(text: string | undefined): Pair<string> {
  const [first, second] = text?.split(',') ?? []
  if (first === undefined || second === undefined) throw new TypeError(`"${text}" is not a pair such as 3478,3479`)
  return [first, second]
}

if (import.meta.main) {
  const [portPair, ...hostPairs] = process.argv.slice(2).map(pairOf)
  const ports: Pair<number> = [Number(portPair?.[0]), Number(portPair?.[1])]
  await Promise.all(hostPairs.flatMap(hosts => [listenUdp(ports, hosts), listenTcp(ports, hosts)]))
  process.stdout.write('ready\n')
}
