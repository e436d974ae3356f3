import { pause } from '../../common/platform/clock.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import type { Path } from '../path/path.ts'
import { dialTcpPath } from '../path/tcp-path.ts'
import type { KnownAddress } from '../rendezvous/address-source.ts'
import type { AttemptBudget } from './attempt-budget.ts'
import type { PeerContext } from './peer-context.ts'

/** RFC 8305 §8, the Connection Attempt Delay. */
const NEXT_DIAL_MS = 250

export interface KnownAddressesOptions {
  readonly peerId: PeerId
  readonly context: PeerContext
  readonly budget: AttemptBudget
  readonly signal: AbortSignal
  readonly onPath: (path: Path) => void
}

/**
 * Connects to where the peer is known to be, with no help of a relay: so a home works on while every relay is away, and
 * without any. A stranger at such an address learns nothing but a knock.
 */
export class KnownAddresses {
  readonly #options: KnownAddressesOptions
  readonly #runs = new Set<Promise<boolean>>()
  #won = new AbortController()

  constructor(options: KnownAddressesOptions) {
    this.#options = options
    options.signal.addEventListener('abort', () => this.#won.abort(), { once: true })
  }

  /** Dials what is known and not being dialled; true when that, or what was being dialled before, led to the peer. */
  async reach(which: 'all' | 'present'): Promise<boolean> {
    const { peerId, context, budget, signal } = this.#options
    if (signal.aborted) return false
    const targets = context.sources
      .addresses(peerId, which)
      .filter(({ endpoint }) => !context.isOwnAddress(endpoint.address) || context.isOnThisMachine(peerId))
      .filter(({ endpoint }) => budget.takeDial(endpoint))
    if (targets.length > 0) {
      const run = this.#dial(targets)
      this.#runs.add(run)
      void run.then(() => this.#runs.delete(run))
    }
    return firstTrue([...this.#runs])
  }

  /** Looks for the peer, and resolves when that gave an address or nothing. */
  seek(signal: AbortSignal): Promise<void> {
    return this.#options.context.sources.seek(this.#options.peerId, signal)
  }

  /** One after the other, and the next when the one before has failed or takes its time (RFC 8305 §5). */
  async #dial(targets: readonly KnownAddress[]): Promise<boolean> {
    const won = this.#won
    const dials: Promise<boolean>[] = []
    for (const target of targets) {
      if (won.signal.aborted) break
      const dial = this.#dialOne(target, won)
      dials.push(dial)
      await Promise.race([dial, pause(this.#options.context.clock, NEXT_DIAL_MS, won.signal)])
    }
    return firstTrue(dials)
  }

  async #dialOne({ how, endpoint }: KnownAddress, won: AbortController): Promise<boolean> {
    const { peerId, context, budget, onPath } = this.#options
    const { signal } = won
    try {
      const path = await dialTcpPath(peerId, { kind: 'tcp', how, endpoint }, { ...context, signal })
      if (signal.aborted) {
        path.stream.destroy()
        return false
      }
      budget.ledToPeer(endpoint)
      won.abort()
      this.#won = new AbortController()
      onPath(path)
      return true
    } catch {
      if (!signal.aborted) context.sources.failed(peerId, endpoint)
      return false
    }
  }
}

function firstTrue(answers: readonly Promise<boolean>[]): Promise<boolean> {
  return new Promise(resolve => {
    for (const answer of answers) void answer.then(yes => yes && resolve(true))
    void Promise.all(answers).then(() => resolve(false))
  })
}
