import { asCulvertError } from '../../common/errors.ts'
import type { Clock, Timer } from '../../common/platform/clock.ts'
import type { Log } from '../../common/platform/log.ts'
import { type Endpoint, sameEndpoint } from '../../common/wire/endpoint.ts'

/** New servers set off questions to all of them, so a relay must not name others again and again. */
const CHANGE_MS = 10_000

export interface StunListOptions {
  readonly clock: Clock
  readonly log: Log
  readonly resolve: (hosts: readonly string[]) => Promise<readonly Endpoint[]>
  /** What the relays name now. */
  readonly ofRelays: () => readonly Endpoint[]
  readonly onChange: (servers: readonly Endpoint[]) => void
}

/** The STUN servers to ask: of the relays that are connected, and of the config. */
export class StunList {
  readonly #options: StunListOptions
  #configured: readonly Endpoint[] = []
  #servers: readonly Endpoint[] = []
  #changedAt = Number.NEGATIVE_INFINITY
  #timer: Timer | undefined
  #closed = false

  constructor(options: StunListOptions) {
    this.#options = options
  }

  get servers(): readonly Endpoint[] {
    return this.#servers
  }

  /** Looks up where the servers of the config are; those of before stay where that fails. */
  async configure(hosts: readonly string[]): Promise<void> {
    try {
      this.#configured = await this.#options.resolve(hosts)
    } catch (thrown) {
      this.#options.log.warn(asCulvertError(thrown, 'io', 'STUN servers do not resolve').message)
    }
    this.refresh()
  }

  /** The relays may name others. */
  refresh(): void {
    if (this.#closed) return
    const { clock, ofRelays, onChange } = this.#options
    const servers = [...ofRelays(), ...this.#configured]
    if (isSame(servers, this.#servers)) return
    const waitMs = this.#changedAt + CHANGE_MS - clock.now()
    if (waitMs > 0) {
      this.#timer ??= clock.after(waitMs, () => {
        this.#timer = undefined
        this.refresh()
      })
      return
    }
    this.#changedAt = clock.now()
    this.#servers = servers
    onChange(servers)
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }
}

function isSame(some: readonly Endpoint[], others: readonly Endpoint[]): boolean {
  return (
    some.length === others.length &&
    some.every((server, i) => others[i] !== undefined && sameEndpoint(server, others[i]))
  )
}
