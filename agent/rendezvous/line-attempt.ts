import type { Clock } from '../../common/platform/clock.ts'
import type { KeyPair } from '../../common/platform/ed25519.ts'
import type { Random } from '../../common/platform/random.ts'
import { plainAddress } from '../../common/wire/endpoint.ts'
import type { RelayMessage } from '../../common/wire/relay-message.ts'
import { NONCE_BYTES } from '../../common/wire/relay-proof.ts'
import { OpenLine } from './open-line.ts'
import { dialRelay, type RelayAddress } from './relay-dial.ts'
import type { HandshakeTerms, Welcome } from './relay-handshake.ts'

export interface LineAttemptOptions {
  readonly relay: RelayAddress
  readonly identity: KeyPair
  readonly clock: Clock
  readonly random: Random
  /** Names this process, so that a relay can tell a reconnect from a second machine with the same key. */
  readonly instance: Uint8Array
  readonly software: string
  /** What proves that this device is in a network, when it is. */
  readonly network?: { membership(): Uint8Array | undefined } | undefined
}

/** A line that the relay has welcomed. */
export interface WelcomedLine {
  readonly line: OpenLine
  /** Where it leads; unknown behind a proxy. */
  readonly relayAddress: string | undefined
  /** Our end of it. */
  readonly ownAddress: string | undefined
}

export interface LineAttemptEvents {
  /** Before anything else that comes over it. */
  onWelcome(attempt: LineAttempt, welcomed: WelcomedLine): void
  onMessage(line: OpenLine, message: RelayMessage): void
  onRefused(retryAfterMs: number): void
  /** Also before the welcome, and more than once. */
  onEnd(line: OpenLine, reason: string): void
}

/** One attempt at a line to a relay: dials, answers the challenge and waits for the welcome. */
export class LineAttempt {
  readonly beganAt: number
  /** Rejects with why there is none. */
  readonly welcome: Promise<{ readonly line: OpenLine; readonly welcome: Welcome }>
  readonly #stop = new AbortController()
  readonly #options: LineAttemptOptions
  readonly #events: LineAttemptEvents

  constructor(options: LineAttemptOptions, events: LineAttemptEvents) {
    this.#options = options
    this.#events = events
    this.beganAt = options.clock.now()
    this.welcome = this.#open()
  }

  /** Ends it; a line that was welcomed stays. */
  giveUp(): void {
    this.#stop.abort()
  }

  async #open(): Promise<{ readonly line: OpenLine; readonly welcome: Welcome }> {
    const { relay, identity, random, clock, software, instance, network } = this.#options
    const events = this.#events
    const { signal } = this.#stop
    const carrier = await dialRelay(relay, clock, signal)
    const relayAddress = relay.proxy ? undefined : carrier.remoteAddress
    const ownAddress = carrier.localAddress === undefined ? undefined : plainAddress(carrier.localAddress)
    const agentNonce = random.bytes(NONCE_BYTES)
    const terms: HandshakeTerms = {
      url: relay.url,
      relayId: relay.id,
      identity,
      agentNonce,
      software,
      instance,
      membership: network?.membership(),
    }
    const own = {
      onWelcome: () => events.onWelcome(this, { line, relayAddress, ownAddress }),
      onMessage: (message: RelayMessage) => events.onMessage(line, message),
      onRefused: (retryAfterMs: number) => events.onRefused(retryAfterMs),
      onEnd: (reason: string) => events.onEnd(line, reason),
    }
    const line: OpenLine = new OpenLine(carrier, terms, clock, own, signal)
    return { line, welcome: await line.welcome }
  }
}
