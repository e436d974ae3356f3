import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { WebSocket } from 'ws'
import { generateKeyPair, type KeyPair, signBytes } from '../../common/platform/ed25519.ts'
import { systemRandom } from '../../common/platform/random.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import {
  type AgentMessage,
  decodeRelayMessage,
  encodeAgentMessage,
  RELAY_PROTOCOL,
  type RelayMessage,
} from '../../common/wire/relay-message.ts'
import { agentProof, NONCE_BYTES } from '../../common/wire/relay-proof.ts'

type OfType<Type extends RelayMessage['type']> = Extract<RelayMessage, { readonly type: Type }>

/** A small agent's end of a control line: sends messages, and waits for those that come. */
export class TestLine {
  readonly socket: WebSocket
  readonly #received: RelayMessage[] = []
  readonly #waiting = new Set<() => void>()
  closed = false

  constructor(url: string, options: { readonly insecure?: boolean } = {}) {
    this.socket = new WebSocket(url, { perMessageDeflate: false, rejectUnauthorized: options.insecure !== true })
    this.socket.on('message', data => {
      if (!Buffer.isBuffer(data)) return
      const message = decodeRelayMessage(data)
      if (message) this.#received.push(message)
      this.#wake()
    })
    this.socket.on('error', () => this.#wake())
    this.socket.on('close', () => {
      this.closed = true
      this.#wake()
    })
  }

  say(message: AgentMessage): void {
    this.socket.send(encodeAgentMessage(message))
  }

  /** The next message of this type, taken out; those of other types stay. */
  async next<Type extends RelayMessage['type']>(type: Type): Promise<OfType<Type>> {
    for (;;) {
      const index = this.#received.findIndex(message => message.type === type)
      const [message] = index < 0 ? [] : this.#received.splice(index, 1)
      if (message && isOfType(message, type)) return message
      if (this.closed) throw new Error(`line closed while waiting for ${type}`)
      await new Promise<void>(resolve => this.#waiting.add(resolve))
    }
  }

  /** Messages that came and were not taken. */
  get pending(): readonly RelayMessage[] {
    return this.#received
  }

  async whenClosed(): Promise<void> {
    while (!this.closed) await new Promise<void>(resolve => this.#waiting.add(resolve))
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }
}

function isOfType<Type extends RelayMessage['type']>(message: RelayMessage, type: Type): message is OfType<Type> {
  return message.type === type
}

export interface HelloOptions {
  readonly key?: KeyPair
  readonly instance?: Uint8Array
  readonly relayName?: string
  readonly protocol?: number
  /** Signed for this relay instead of the one that asks. */
  readonly relayId?: PeerId
  /** Claims this id without having its key. */
  readonly claim?: PeerId
  /** Proves the membership of a network. */
  readonly membership?: Uint8Array
}

export const lineUrl = (http: Endpoint, scheme = 'ws') => `${scheme}://127.0.0.1:${http.port}/v1/agent`

/** Answers the challenge; what follows is the relay's to say. */
export async function hello(line: TestLine, http: Endpoint, options: HelloOptions = {}): Promise<AgentMessage> {
  const challenge = await line.next('challenge')
  const key = options.key ?? generateKeyPair()
  const nonce = systemRandom.bytes(NONCE_BYTES)
  const peer = options.claim ?? key.id
  const relayName = options.relayName ?? `127.0.0.1:${http.port}`
  const relayId = options.relayId ?? challenge.relay
  const handshake = { relayId, relayName, relayNonce: challenge.nonce, agentId: peer, agentNonce: nonce }
  const message: AgentMessage = {
    type: 'hello',
    protocol: options.protocol ?? RELAY_PROTOCOL,
    peer,
    nonce,
    relayName,
    signature: signBytes(key, agentProof(handshake)),
    software: 'test',
    instance: options.instance ?? systemRandom.bytes(8),
    ...(options.membership ? { membership: options.membership } : {}),
  }
  line.say(message)
  return message
}

export interface TestAgent {
  readonly key: KeyPair
  readonly id: PeerId
  readonly line: TestLine
  readonly welcome: OfType<'welcome'>
}

/** A line that was welcomed. */
export async function testAgent(http: Endpoint, options: HelloOptions = {}): Promise<TestAgent> {
  const key = options.key ?? generateKeyPair()
  const line = new TestLine(lineUrl(http))
  await hello(line, http, { ...options, key })
  const welcome = await line.next('welcome')
  return { key, id: key.id, line, welcome }
}

const WAKES = ['readable', 'close', 'end']

/** Attaches to a pipe; resolves with the raw socket, nothing behind the 101 lost, or with the status that refused. */
export async function attach(
  http: Endpoint,
  ticket: Uint8Array | string,
  options: { readonly tls?: boolean; readonly early?: Buffer } = {},
): Promise<{ readonly socket: Socket; readonly status: number }> {
  const to = { port: http.port, host: '127.0.0.1', allowHalfOpen: true }
  const socket: Socket = options.tls ? connectTls({ ...to, rejectUnauthorized: false }) : connect(to)
  socket.on('error', () => undefined)
  await once(socket, options.tls ? 'secureConnect' : 'connect')
  const text = typeof ticket === 'string' ? ticket : Buffer.from(ticket).toString('base64url')
  socket.write(`GET /v1/pipe/${text} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: culvert-pipe\r\n\r\n`)
  if (options.early) socket.write(options.early)
  let head = Buffer.alloc(0)
  for (;;) {
    const end = head.indexOf('\r\n\r\n')
    if (end >= 0) {
      const status = Number(head.toString('latin1', 9, 12))
      if (head.length > end + 4) socket.unshift(head.subarray(end + 4))
      return { socket, status }
    }
    const chunk: unknown = socket.read()
    if (Buffer.isBuffer(chunk)) head = Buffer.concat([head, chunk])
    else if (socket.destroyed || socket.readableEnded) return { socket, status: 0 }
    else
      await new Promise<void>(resolve => {
        const done = () => {
          for (const event of WAKES) socket.off(event, done)
          resolve()
        }
        for (const event of WAKES) socket.on(event, done)
      })
  }
}

/** Makes two agents watch each other; resolves when the relay knows. */
export async function befriend(one: TestAgent, other: TestAgent): Promise<void> {
  one.line.say({ type: 'watch', peers: [other.id] })
  await one.line.next('presence')
  other.line.say({ type: 'watch', peers: [one.id] })
  await other.line.next('presence')
}

/** Calls from one agent to another and attaches both ends. */
export async function pipeBetween(
  http: Endpoint,
  caller: TestAgent,
  callee: TestAgent,
  options: { readonly tls?: boolean } = {},
): Promise<readonly [Socket, Socket]> {
  caller.line.say({ type: 'call', call: 1, to: callee.id })
  const [{ ticket }, ring] = await Promise.all([caller.line.next('ticket'), callee.line.next('ring')])
  const [a, b] = await Promise.all([attach(http, ticket, options), attach(http, ring.ticket, options)])
  if (a.status !== 101 || b.status !== 101) throw new Error(`attached with ${a.status} and ${b.status}`)
  return [a.socket, b.socket]
}
