import { CulvertError } from '../../common/errors.ts'
import type { Clock } from '../../common/platform/clock.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import type { AgentMessage, CallFailure } from '../../common/wire/relay-message.ts'

const CALL_MS = 10_000
/** The callee's answer to a ring takes a round trip, and a slow device a moment. */
const REFUSAL_MS = 10_000
/** A call stays until the callee can no longer refuse it, so a hub that restarts has one for each of its peers. */
const MAX_CALLS = 1_024

/** A call that the relay put through. */
export interface PlacedCall {
  /** Of our end of the pipe. */
  readonly ticket: Uint8Array
  /** Aborts, with the reason, when the callee refuses after all. */
  readonly failure: AbortSignal
}

interface Call {
  answer(ticket: Uint8Array): void
  fail(error: CulvertError): void
}

/** The calls that one relay was asked to put through. */
export class CallRequests {
  readonly #clock: Clock
  readonly #relay: string
  readonly #send: (message: AgentMessage) => void
  readonly #calls = new Map<number, Call>()
  #next = 1

  /** `relay` names it in errors. */
  constructor(clock: Clock, relay: string, send: (message: AgentMessage) => void) {
    this.#clock = clock
    this.#relay = relay
    this.#send = send
  }

  /** Asks the relay to ring a peer. */
  place(to: PeerId, signal: AbortSignal): Promise<PlacedCall> {
    if (this.#calls.size >= MAX_CALLS) {
      return Promise.reject(new CulvertError('busy', `${MAX_CALLS} calls over ${this.#relay} are under way`))
    }
    const call = this.#next++
    return new Promise((resolve, reject) => {
      const failure = new AbortController()
      const end = () => {
        this.#calls.delete(call)
        timer.cancel()
        signal.removeEventListener('abort', abort)
      }
      const fail = (error: CulvertError) => {
        end()
        failure.abort(error)
        reject(error)
      }
      const abort = () => fail(new CulvertError('aborted', 'the call was aborted', { cause: signal.reason }))
      let timer = this.#clock.after(CALL_MS, () =>
        fail(new CulvertError('relay-unreachable', `relay ${this.#relay} did not answer a call`)),
      )
      const answer = (ticket: Uint8Array) => {
        timer.cancel()
        timer = this.#clock.after(REFUSAL_MS, end)
        resolve({ ticket, failure: failure.signal })
      }
      signal.addEventListener('abort', abort, { once: true })
      this.#calls.set(call, { answer, fail })
      this.#send({ type: 'call', call, to })
    })
  }

  answer(call: number, ticket: Uint8Array): void {
    this.#calls.get(call)?.answer(ticket)
  }

  fail(call: number, reason: CallFailure): void {
    this.#calls.get(call)?.fail(callFailure(reason))
  }

  /** The line broke. */
  failAll(error: CulvertError): void {
    for (const call of [...this.#calls.values()]) call.fail(error)
  }
}

function callFailure(reason: CallFailure): CulvertError {
  switch (reason) {
    case 'offline':
      return new CulvertError('peer-offline', 'the peer is not connected to the relay')
    case 'refused':
      return new CulvertError(
        'peer-refused',
        'the peer refused: this device is not in its peers (add its id, culvert id, there), or was removed from their network',
      )
    case 'busy':
      return new CulvertError('busy', 'the peer or the relay is busy; try again')
    case 'over-quota':
      return new CulvertError('over-quota', 'the relay has no quota left for this device')
    default:
      return reason satisfies never
  }
}
