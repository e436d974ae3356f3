import type { Socket } from 'node:net'
import { WebSocket } from 'ws'
import { asCulvertError, CulvertError, reasonOf } from '../../common/errors.ts'
import type { Clock } from '../../common/platform/clock.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import {
  type AgentMessage,
  decodeRelayMessage,
  encodeAgentMessage,
  MAX_RELAY_MESSAGE_BYTES,
  type RelayMessage,
} from '../../common/wire/relay-message.ts'
import { advanceHandshake, type HandshakeState, type HandshakeTerms, type Welcome } from './relay-handshake.ts'

const WELCOME_MS = 10_000
/** A relay that lets this much wait for it asks and does not read the answers. */
const MAX_UNSENT_BYTES = 256 * 1024

export interface OpenLineEvents {
  /** The relay has proven itself: what stands right behind its welcome comes before `welcome` is looked at. */
  onWelcome(): void
  onMessage(message: RelayMessage): void
  onRefused(retryAfterMs: number): void
  /** Also before the welcome, and more than once. */
  onEnd(reason: string): void
}

/** One connection to a relay, from the challenge to its end. */
export class OpenLine {
  /** Rejects when the line ends before. */
  readonly welcome: Promise<Welcome>
  /** Who the relay says it is; proven with the welcome. */
  relayId: PeerId | undefined
  readonly #socket: WebSocket
  readonly #events: OpenLineEvents
  #closed = false

  /** The signal ends a handshake, not a line that is up. */
  constructor(carrier: Socket, terms: HandshakeTerms, clock: Clock, events: OpenLineEvents, signal: AbortSignal) {
    this.#events = events
    const { host } = terms.url
    // The URL is plain here because `carrier` is already TLS where it has to be.
    const socket = new WebSocket(`ws://${host}/v1/agent`, {
      createConnection: () => carrier,
      perMessageDeflate: false,
      maxPayload: MAX_RELAY_MESSAGE_BYTES,
      handshakeTimeout: WELCOME_MS,
      followRedirects: false,
    })
    this.#socket = socket
    this.welcome = new Promise((resolve, reject) => {
      let state: HandshakeState = { name: 'expecting' }
      const timer = clock.after(WELCOME_MS, () =>
        fail(new CulvertError('relay-unreachable', `relay ${host} did not welcome us in time`)),
      )
      const take = (message: RelayMessage) => {
        const step = advanceHandshake(terms, state, message)
        if (step.refusal) {
          events.onRefused(step.refusal.retryAfterMs)
          throw step.refusal.error
        }
        if (step.say) this.send(step.say)
        if (message.type === 'challenge') this.relayId ??= message.relay
        const before = state
        state = step.state
        if (before.name === 'welcomed') {
          events.onMessage(message)
        } else if (step.state.name === 'welcomed') {
          settle()
          events.onWelcome()
          resolve(step.state.welcome)
        }
      }
      const abort = () => fail(new CulvertError('aborted', `connecting to relay ${host} was aborted`))
      const settle = () => {
        timer.cancel()
        signal.removeEventListener('abort', abort)
      }
      const fail = (thrown: unknown) => {
        settle()
        this.#closed = true
        reject(asCulvertError(thrown, 'relay-unreachable', `relay ${host}`))
        events.onEnd(reasonOf(thrown))
        socket.terminate()
      }
      socket.binaryType = 'nodebuffer'
      socket.on('message', data => {
        // What was read before the line was given up may still come.
        if (this.#closed) return
        try {
          if (!Buffer.isBuffer(data)) throw new CulvertError('wire-malformed', 'a control message came in pieces')
          const message = decodeRelayMessage(data)
          if (message) take(message)
        } catch (thrown) {
          fail(thrown)
        }
      })
      socket.on('error', fail)
      socket.on('close', () => fail(new CulvertError('relay-unreachable', 'the relay closed the line')))
      signal.addEventListener('abort', abort, { once: true })
      if (signal.aborted) abort()
    })
  }

  send(message: AgentMessage): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return
    if (this.#socket.bufferedAmount > MAX_UNSENT_BYTES) this.#events.onEnd('it does not read what we say')
    else this.#socket.send(encodeAgentMessage(message), () => undefined)
  }

  close(): void {
    this.#closed = true
    // A socket that is still connecting reports the abort as an error; its listener above takes it.
    this.#socket.terminate()
  }
}
