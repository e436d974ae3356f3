import type { Clock } from '../../common/platform/clock.ts'
import type { AgentMessage, ReachOutcome } from '../../common/wire/relay-message.ts'

/** A relay gives a TCP connection 3.5 s. */
const OUTCOME_MS = 8_000
const MAX_REQUESTS = 8

/** The looks from outside that one relay was asked for. */
export class ReachRequests {
  readonly #clock: Clock
  readonly #send: (message: AgentMessage) => void
  readonly #waiting = new Map<number, (outcome: ReachOutcome) => void>()
  #next = 1

  constructor(clock: Clock, send: (message: AgentMessage) => void) {
    this.#clock = clock
    this.#send = send
  }

  /** `busy` also when the relay does not say, or the line breaks. */
  ask(transport: 'tcp' | 'udp', port: number, nonce: Uint8Array, signal: AbortSignal): Promise<ReachOutcome> {
    if (signal.aborted || this.#waiting.size >= MAX_REQUESTS) return Promise.resolve('busy')
    const check = this.#next++
    return new Promise(resolve => {
      const settle = (outcome: ReachOutcome) => {
        timer.cancel()
        signal.removeEventListener('abort', giveUp)
        this.#waiting.delete(check)
        resolve(outcome)
      }
      const giveUp = () => settle('busy')
      const timer = this.#clock.after(OUTCOME_MS, giveUp)
      signal.addEventListener('abort', giveUp, { once: true })
      this.#waiting.set(check, settle)
      this.#send({ type: 'reach', check, transport, port, nonce })
    })
  }

  settle(check: number, outcome: ReachOutcome): void {
    this.#waiting.get(check)?.(outcome)
  }

  /** The line broke. */
  failAll(): void {
    for (const settle of [...this.#waiting.values()]) settle('busy')
  }
}
