import { randomBytes } from 'node:crypto'
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, isIPv6, type Socket } from 'node:net'
import {
  type Address,
  decodeStun,
  encodeStun,
  STUN_HEADER_BYTES,
  type StunMessage,
  stunLength,
} from './stun-message.ts'

export interface QueryOptions {
  readonly timeoutMs: number
  /** Requests sent before no answer is an answer. Default 3. */
  readonly tries?: number
}

/** One UDP socket that asks STUN servers; answers are told apart by transaction, wherever they come from. */
export class StunSocket implements Disposable {
  readonly socket: UdpSocket
  readonly #waiting = new Map<string, (message: StunMessage) => void>()

  private constructor(socket: UdpSocket) {
    this.socket = socket
    socket.on('message', bytes => {
      const message = decodeStun(bytes)
      if (message?.type === 'response') this.#waiting.get(message.transaction)?.(message)
    })
    // What ICMP says shows in the missing answer.
    socket.on('error', () => this.#waiting.clear())
  }

  /** Port 0: any. The family is that of the server to be asked. */
  static async open(server: string, localPort: number): Promise<StunSocket> {
    const socket = createSocket(isIPv6(server) ? 'udp6' : 'udp4').bind(localPort)
    await once(socket, 'listening')
    return new StunSocket(socket)
  }

  get port(): number {
    return this.socket.address().port
  }

  /** The answer to a binding request; null when none came in time to any of the tries. */
  async ask(
    to: Address,
    { timeoutMs, tries = 3 }: QueryOptions,
    change?: StunMessage['change'],
  ): Promise<StunMessage | null> {
    const transaction = randomBytes(12).toString('hex')
    const { promise, resolve } = Promise.withResolvers<StunMessage | null>()
    this.#waiting.set(transaction, resolve)
    const request = encodeStun({ type: 'request', transaction, ...(change ? { change } : {}) })
    let left = tries
    const send = () => {
      if (left === 0) return resolve(null)
      left -= 1
      // A refused send is as good as a lost packet.
      this.socket.send(request, to.port, to.host, () => undefined)
    }
    const timer = setInterval(send, timeoutMs)
    send()
    const answer = await promise
    clearInterval(timer)
    this.#waiting.delete(transaction)
    return answer
  }

  [Symbol.dispose](): void {
    this.socket.close()
  }
}

export interface TcpAnswer {
  /** Left open, so that the NAT keeps its mapping for the next question. */
  readonly socket: Socket
  readonly local: Address
  readonly mapped: Address
}

/** Asks over one TCP connection from the given local port; null when it could not be made or answered in time. */
export async function askOverTcp(localPort: number, to: Address, timeoutMs: number): Promise<TcpAnswer | null> {
  const signal = AbortSignal.timeout(timeoutMs)
  const socket = connect({ host: to.host, port: to.port, localPort })
  try {
    await once(socket, 'connect', { signal })
    socket.write(encodeStun({ type: 'request', transaction: randomBytes(12).toString('hex') }))
    let bytes: Buffer = Buffer.alloc(0)
    while (bytes.length < STUN_HEADER_BYTES || bytes.length < stunLength(bytes)) {
      const [chunk] = await once(socket, 'data', { signal })
      if (Buffer.isBuffer(chunk)) bytes = Buffer.concat([bytes, chunk])
    }
    const mapped = decodeStun(bytes)?.mapped
    if (mapped === undefined) return null
    return { socket, local: { host: socket.localAddress ?? '', port: socket.localPort ?? 0 }, mapped }
  } catch {
    socket.destroy()
    return null
  }
}
