import { reasonOf } from '../../common/errors.ts'
import type { Clock, Timer } from '../../common/platform/clock.ts'
import type { Log } from '../../common/platform/log.ts'
import { type Endpoint, formatEndpoint } from '../../common/wire/endpoint.ts'
import type { ReachBook, Transport } from './reach-book.ts'
import { advanceReach, nextReachAt, type ReachEvent, type ReachState, type Verdict, verdictOn } from './reach-state.ts'

/**
 * Has somebody outside connect to an endpoint of ours with what the nonce stands for, and tells what he saw; `unknown`
 * when nobody can.
 */
export type LookFromOutside = (
  transport: Transport,
  endpoint: Endpoint,
  nonce: Uint8Array,
  signal: AbortSignal,
) => Promise<Verdict>

export interface ReachKeeperOptions {
  readonly clock: Clock
  readonly log: Log
  readonly book: ReachBook
  readonly transport: Transport
  readonly look: LookFromOutside
  readonly onChange: () => void
}

/** Keeps one outside endpoint looked at, as `reach-state.ts` decides. */
export class ReachKeeper {
  readonly #options: ReachKeeperOptions
  readonly #closing = new AbortController()
  #state: ReachState = { name: 'idle' }
  #timer: Timer | undefined
  #looking: Promise<Verdict> | undefined

  constructor(options: ReachKeeperOptions) {
    this.#options = options
  }

  /** What is known of this endpoint; undefined while it is looked at for the first time. */
  verdictOn(endpoint: Endpoint): Verdict | undefined {
    return verdictOn(this.#state, endpoint)
  }

  /** The endpoint to look at from now on. */
  watch(endpoint: Endpoint | undefined): void {
    this.#on({ name: 'endpoint', endpoint })
  }

  onRelay(): void {
    this.#on({ name: 'relay' })
  }

  onNetwork(): void {
    this.#on({ name: 'network' })
  }

  /** Looks again at once; resolves with what this one look found, `unknown` where there is nothing to look at. */
  lookNow(): Promise<Verdict> {
    this.#on({ name: 'network' })
    return (this.#state.name === 'idle' ? undefined : this.#looking) ?? Promise.resolve('unknown')
  }

  close(): void {
    this.#closing.abort()
    this.#timer?.cancel()
  }

  #on(event: ReachEvent): void {
    const { clock, onChange } = this.#options
    if (this.#closing.signal.aborted) return
    const before = this.#state
    const { state, look } = advanceReach(before, event, clock.now())
    this.#state = state
    this.#timer?.cancel()
    const at = nextReachAt(state)
    if (Number.isFinite(at)) {
      this.#timer = clock.after(Math.max(0, at - clock.now()), () => this.#on({ name: 'tick' }))
    }
    if (look) this.#looking = this.#look(look)
    if (state.name === 'told' && state !== before) onChange()
  }

  async #look(endpoint: Endpoint): Promise<Verdict> {
    const { book, transport, log, look } = this.#options
    using expected = book.expect(transport)
    let outcome: Verdict = 'unknown'
    try {
      const told = await look(transport, endpoint, expected.nonce, this.#closing.signal)
      outcome = outcomeOf(transport, expected.seen, told)
    } catch (thrown) {
      log.warn('a look from outside failed', { reason: reasonOf(thrown) })
    }
    log.debug('looked at from outside', { transport, at: formatEndpoint(endpoint), outcome })
    this.#on({ name: 'outcome', endpoint, outcome })
    return outcome
  }
}

/**
 * What came in at our own port is proof, and that it did is nobody's word. Over TCP it came both ways; that a datagram of
 * ours went out has to be told by who got it.
 */
function outcomeOf(transport: Transport, seen: boolean, told: Verdict): Verdict {
  if (seen && transport === 'tcp') return 'reached'
  if (told !== 'reached') return told
  return seen ? 'reached' : 'unknown'
}
