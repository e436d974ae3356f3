import type { PeerId } from '../../common/wire/peer-id.ts'
import type { Path } from '../path/path.ts'
import { dialTcpPath } from '../path/tcp-path.ts'
import type { KnownAddress } from '../rendezvous/address-source.ts'
import type { AttemptBudget } from './attempt-budget.ts'
import type { PeerContext } from './peer-context.ts'

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

  async #dial(targets: readonly KnownAddress[]): Promise<boolean> {
    const won = this.#won
    const { signal } = won
    const dials = targets.map(async target => {
      const path = await this.#dialOne(target, signal)
      if (signal.aborted) path.stream.destroy()
      return path
    })
    try {
      const path = await Promise.any(dials)
      if (signal.aborted) return false
      won.abort()
      this.#won = new AbortController()
      this.#options.onPath(path)
      return true
    } catch {
      return false
    }
  }

  async #dialOne({ how, endpoint }: KnownAddress, signal: AbortSignal): Promise<Path> {
    const { peerId, context } = this.#options
    try {
      return await dialTcpPath(peerId, { kind: 'tcp', how, endpoint }, { ...context, signal })
    } catch (thrown) {
      if (!signal.aborted) context.sources.failed(peerId, endpoint)
      throw thrown
    }
  }
}

function firstTrue(answers: readonly Promise<boolean>[]): Promise<boolean> {
  return new Promise(resolve => {
    for (const answer of answers) void answer.then(yes => yes && resolve(true))
    void Promise.all(answers).then(() => resolve(false))
  })
}
