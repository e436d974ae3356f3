import { isIPv6 } from 'node:net'
import { reasonOf } from '../../common/errors.ts'
import type { Clock, Timer } from '../../common/platform/clock.ts'
import type { Log } from '../../common/platform/log.ts'
import type { Random } from '../../common/platform/random.ts'
import { openUdpSocket } from '../../common/platform/udp-socket.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import { StunSocket, stunRequest } from './stun-client.ts'

/** A path that becomes possible is to be found within 10 s; 48 bytes each time are 0.5 MB a day. */
const OFTEN_MS = 8_000
/** A network that blocked UDP for half an hour will hardly let it through in the next minute. */
const OFTEN_TRIES = 225
const RARELY_MS = 60_000
const ANSWER_MS = 1_500

/** Milliseconds until the next question, after so many without an answer. */
export function questionDelayMs(tries: number): number {
  return tries < OFTEN_TRIES ? OFTEN_MS : RARELY_MS
}

export interface UdpReturnOptions {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly servers: () => readonly Endpoint[]
  /** Somebody would have a direct path if UDP came through. */
  readonly wanted: () => boolean
  /** UDP comes through again. */
  readonly onAnswer: () => void
}

/** Waits for UDP to come through again: one small question now and then, whose answer is the sign to look at everything. */
export class UdpReturn {
  readonly #options: UdpReturnOptions
  #timer: Timer | undefined
  #tries = 0
  #stop: AbortController | undefined

  constructor(options: UdpReturnOptions) {
    this.#options = options
  }

  /** Begins to ask, or goes on with it. */
  start(): void {
    if (!this.#timer) this.#later()
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#tries = 0
    this.#stop?.abort()
    this.#stop = undefined
  }

  #later(): void {
    this.#timer = this.#options.clock.after(questionDelayMs(this.#tries), () => void this.#ask())
  }

  async #ask(): Promise<void> {
    const { clock, random, log, servers, wanted, onAnswer } = this.#options
    const all = servers()
    const server = all[this.#tries % Math.max(1, all.length)]
    if (server && wanted()) {
      this.#tries++
      const stop = new AbortController()
      this.#stop = stop
      try {
        await using socket = await openUdpSocket({ family: isIPv6(server.address) ? 6 : 4 })
        const once = { rtoMs: ANSWER_MS, tries: 1 }
        const outcome = await stunRequest(new StunSocket(socket), server, {
          clock,
          random,
          signal: stop.signal,
          retransmission: once,
        })
        if (outcome.kind === 'answered') onAnswer()
      } catch (thrown) {
        log.debug('no question could be asked', { reason: reasonOf(thrown) })
      }
      if (stop.signal.aborted) return
    }
    if (this.#timer) this.#later()
  }
}
