import { once } from 'node:events'
import { type WebSocket, WebSocketServer } from 'ws'
import { generateKeyPair, signBytes } from '../../common/platform/ed25519.ts'
import { systemRandom } from '../../common/platform/random.ts'
import {
  type AgentMessage,
  decodeAgentMessage,
  encodeRelayMessage,
  RELAY_PROTOCOL,
  type RelayMessage,
} from '../../common/wire/relay-message.ts'
import { NONCE_BYTES, relayProof } from '../../common/wire/relay-proof.ts'

/** One line as a relay has it that does only what a test says. */
export interface FakeRelayLine {
  readonly socket: WebSocket
  readonly received: readonly AgentMessage[]
  say(message: RelayMessage): void
  /** Proves the relay and lets the agent in. */
  welcome(features?: readonly string[]): void
}

export interface FakeRelay extends AsyncDisposable {
  readonly url: URL
  readonly lines: readonly FakeRelayLine[]
}

/** A relay that challenges, and leaves everything else to `onMessage`. */
export async function startFakeRelay(
  onMessage: (line: FakeRelayLine, message: AgentMessage) => void,
): Promise<FakeRelay> {
  const key = generateKeyPair()
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', path: '/v1/agent' })
  await once(server, 'listening')
  const at = server.address()
  if (at === null || typeof at === 'string') throw new Error('it has no port')
  const lines: FakeRelayLine[] = []
  server.on('connection', socket => {
    const nonce = systemRandom.bytes(NONCE_BYTES)
    const received: AgentMessage[] = []
    const say = (message: RelayMessage) => socket.send(encodeRelayMessage(message))
    const line: FakeRelayLine = {
      socket,
      received,
      say,
      welcome(features = []) {
        const hello = received[0]
        if (hello?.type !== 'hello') throw new Error('nobody said hello')
        const { peer: agentId, nonce: agentNonce, relayName } = hello
        say({
          type: 'welcome',
          signature: signBytes(key, relayProof({ relayId: key.id, relayName, relayNonce: nonce, agentId, agentNonce })),
          observed: undefined,
          stun: [],
          features,
          serverTime: 0,
          reconnectWindowMs: 1_000,
          keepAliveMs: 25_000,
        })
      },
    }
    lines.push(line)
    socket.on('error', () => undefined)
    socket.on('message', data => {
      if (!Buffer.isBuffer(data)) return
      const message = decodeAgentMessage(data)
      if (!message) return
      received.push(message)
      onMessage(line, message)
    })
    say({ type: 'challenge', protocols: [RELAY_PROTOCOL], relay: key.id, nonce })
  })
  return {
    url: new URL(`http://127.0.0.1:${at.port}`),
    lines,
    async [Symbol.asyncDispose]() {
      for (const client of server.clients) client.terminate()
      const closed = once(server, 'close')
      server.close()
      await closed
    },
  }
}
