import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import { generateKeyPair, type KeyPair, signBytes } from '../../common/platform/ed25519.ts'
import { systemRandom } from '../../common/platform/random.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import {
  type AgentMessage,
  decodeAgentMessage,
  encodeRelayMessage,
  RELAY_PROTOCOL,
  type RelayMessage,
} from '../../common/wire/relay-message.ts'
import { NONCE_BYTES, relayProof } from '../../common/wire/relay-proof.ts'

/** A line to an agent, and everything the agent said on it. */
export interface LyingLine {
  readonly socket: WebSocket
  readonly agent: PeerId
  readonly heard: AgentMessage[]
  tell(message: RelayMessage): void
}

/** A relay with a key of its own that welcomes every agent and then says what the test wants. */
export class LyingRelay implements AsyncDisposable {
  readonly key: KeyPair = generateKeyPair()
  readonly port: number
  /** Lines so far, oldest first. */
  readonly lines: LyingLine[] = []
  /** Sockets that asked for a pipe; each was told that it has one, and hears nothing after. */
  readonly pipes: Socket[] = []
  /** What the challenge says in place of the truth. */
  challenge: { readonly relay: PeerId; readonly nonce: Uint8Array } = {
    relay: this.key.id,
    nonce: systemRandom.bytes(NONCE_BYTES),
  }
  /** Sent right behind the welcome. */
  behindWelcome: Buffer | undefined
  readonly #server: Server
  readonly #waiters = new Set<() => void>()

  private constructor(server: Server, port: number) {
    this.#server = server
    this.port = port
    const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false })
    server.on('upgrade', (request, socket: Socket, head) => {
      socket.on('error', () => undefined)
      if (request.url === '/v1/agent') sockets.handleUpgrade(request, socket, head, line => this.#welcome(line))
      else this.#takePipe(socket)
    })
  }

  static async start(): Promise<LyingRelay> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    return new LyingRelay(server, address.port)
  }

  /** The line with this number, counted from 1, once it is there. */
  async line(number: number): Promise<LyingLine> {
    for (;;) {
      const line = this.lines[number - 1]
      if (line) return line
      await this.change()
    }
  }

  /** Resolves when an agent says something, comes or goes. */
  change(): Promise<void> {
    return new Promise(resolve => this.#waiters.add(resolve))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { socket } of this.lines) socket.terminate()
    for (const socket of this.pipes) socket.destroy()
    this.#server.close()
    this.#server.closeAllConnections()
    await once(this.#server, 'close')
  }

  #welcome(socket: WebSocket): void {
    const tell = (message: RelayMessage) => socket.send(encodeRelayMessage(message))
    socket.on('error', () => undefined)
    socket.on('close', () => this.#wake())
    const { relay, nonce } = this.challenge
    let line: LyingLine | undefined
    socket.on('message', data => {
      if (!Buffer.isBuffer(data)) return
      const message = decodeAgentMessage(data)
      if (message?.type === 'hello' && !line) {
        line = { socket, agent: message.peer, heard: [message], tell }
        const { relayName, peer, nonce: agentNonce } = message
        const proof = relayProof({ relayId: relay, relayName, relayNonce: nonce, agentId: peer, agentNonce })
        tell({
          type: 'welcome',
          signature: signBytes(this.key, proof),
          observed: undefined,
          stun: [],
          features: [],
          serverTime: 0,
          reconnectWindowMs: 100,
          keepAliveMs: 60_000,
        })
        if (this.behindWelcome) socket.send(this.behindWelcome)
        this.lines.push(line)
      } else if (message) {
        line?.heard.push(message)
        if (message.type === 'ping') tell({ type: 'pong', id: message.id })
      }
      this.#wake()
    })
    tell({ type: 'challenge', protocols: [RELAY_PROTOCOL], relay, nonce })
  }

  #takePipe(socket: Socket): void {
    this.pipes.push(socket)
    socket.resume()
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: culvert-pipe\r\n\r\n')
    this.#wake()
  }

  #wake(): void {
    for (const resolve of this.#waiters) resolve()
    this.#waiters.clear()
  }
}
