import { asCulvertError, CulvertError } from '../../common/errors.ts'
import { pause, type Timer } from '../../common/platform/clock.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { encodePipeHead, PIPE_SERVICE } from '../../common/wire/peer-pipe.ts'
import { type CarrierFailure, carriersFor } from './carriers.ts'
import type { PeerContext } from './peer-context.ts'
import type { SessionStream } from './stream.ts'

/** Between two that are asked, as for addresses that are dialled. */
const NEXT_MS = 250
/** A relay that is there is quicker than a session with a third peer. */
const OTHERS_AFTER_MS = 500
/** A carrier says itself after 12 s that the other peer does not answer; one that is silent is given up. */
const ACCEPT_MS = 15_000
const MAX_FAILURES = 64

/** A stream to the peer that `via` carries; nothing on it is proven. */
export interface PeerPipe {
  readonly via: PeerId
  readonly stream: SessionStream
}

/** Asks peers that carry for others for a pipe to one peer: a few at a time, each less often the more it failed. */
export class PipeCaller {
  readonly #target: PeerId
  readonly #context: Pick<PeerContext, 'clock' | 'pipes'>
  readonly #failures = new Map<PeerId, CarrierFailure>()

  constructor(target: PeerId, context: Pick<PeerContext, 'clock' | 'pipes'>) {
    this.#target = target
    this.#context = context
  }

  /** The first pipe that is sound by `use`; true when one was. Never rejects. */
  async call(signal: AbortSignal, use: (pipe: PeerPipe, signal: AbortSignal) => Promise<void>): Promise<boolean> {
    const { clock, pipes } = this.#context
    if (!pipes) return false
    const { live, others } = carriersFor(
      { id: this.#target, carries: pipes.carries(this.#target) },
      pipes.carriers(),
      this.#failures,
      clock.now(),
    )
    const over = new AbortController()
    const stop = () => over.abort()
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    let found = false
    const tries: Promise<void>[] = []
    const ask = async (via: PeerId) => {
      if (await this.#try(via, over.signal, use)) {
        found = true
        over.abort()
      }
    }
    for (const via of live) {
      tries.push(ask(via))
      await Promise.race([Promise.all(tries), pause(clock, NEXT_MS, over.signal)])
    }
    if (!found && others.length > 0) await pause(clock, OTHERS_AFTER_MS, over.signal)
    if (!over.signal.aborted) tries.push(...others.map(ask))
    await Promise.all(tries)
    signal.removeEventListener('abort', stop)
    return found
  }

  async #try(
    via: PeerId,
    signal: AbortSignal,
    use: (pipe: PeerPipe, signal: AbortSignal) => Promise<void>,
  ): Promise<boolean> {
    const { clock } = this.#context
    let stream: SessionStream | undefined
    let limit: Timer | undefined
    const abort = () => stream?.reset('aborted', 'the call is over')
    signal.addEventListener('abort', abort, { once: true })
    try {
      stream = await this.#open(via, signal)
      if (signal.aborted) abort()
      const asked = stream
      limit = clock.after(ACCEPT_MS, () => asked.reset('timed-out', 'the peer that carries does not answer'))
      await stream.accepted()
      limit.cancel()
      await use({ via, stream }, signal)
      this.#failures.delete(via)
      return true
    } catch (thrown) {
      const error = asCulvertError(thrown, 'peer-unreachable', 'no pipe')
      stream?.reset(error.code, error.message)
      if (!signal.aborted) this.#failed(via, clock.now())
      return false
    } finally {
      limit?.cancel()
      signal.removeEventListener('abort', abort)
    }
  }

  async #open(via: PeerId, signal: AbortSignal): Promise<SessionStream> {
    const { pipes } = this.#context
    if (!pipes) throw new CulvertError('peer-unreachable', 'nobody carries')
    const stream = await pipes.open(via, PIPE_SERVICE, signal)
    stream.write(encodePipeHead(this.#target))
    return stream
  }

  #failed(via: PeerId, now: number): void {
    const failures = (this.#failures.get(via)?.failures ?? 0) + 1
    this.#failures.delete(via)
    this.#failures.set(via, { failures, at: now })
    // Carriers come and go; the oldest failure says least.
    const [oldest] = this.#failures.keys()
    if (this.#failures.size > MAX_FAILURES && oldest !== undefined) this.#failures.delete(oldest)
  }
}
