import type { Clock } from '../../common/platform/clock.ts'
import { type Endpoint, formatEndpoint } from '../../common/wire/endpoint.ts'

/** What probing may cost the routers on the way: the option `nat.probeBudget`. */
export interface ProbeLimits {
  /** Entries that our probes may keep alive in a NAT's table at a time. */
  readonly entries: number
  readonly packetsPerS: number
}

/** Cheap routers hold 4,096 entries or less for a whole home; more than 200 packets a second look like an attack. */
export const DEFAULT_PROBE_LIMITS: ProbeLimits = { entries: 1_500, packetsPerS: 200 }

/** Linux forgets a UDP flow without an answer after 30 s, and most routers are Linux. */
const ENTRY_MS = 30_000
/** Packets that may leave together after a pause. */
const BURST = 32

/** `full`: the tables would grow beyond the limit; entries die by themselves. */
export type ProbeVerdict = 'send' | 'wait' | 'full'

/** Counts the probes to all peers together. One for the whole agent. */
export class ProbeBudget {
  readonly #clock: Clock
  #limits: ProbeLimits
  /** When each entry dies, by our port and the other end; the oldest first. */
  readonly #entries = new Map<string, number>()
  #allowance = BURST
  #allowedAt: number
  #packets = 0
  #peakEntries = 0

  constructor(clock: Clock, limits: ProbeLimits = DEFAULT_PROBE_LIMITS) {
    this.#clock = clock
    this.#limits = limits
    this.#allowedAt = clock.now()
  }

  set limits(limits: ProbeLimits) {
    this.#limits = limits
  }

  /** Whether a probe may leave our port for there now; `send` counts it. */
  take(localPort: number, to: Endpoint): ProbeVerdict {
    this.#turn()
    const key = `${localPort}>${formatEndpoint(to)}`
    if (!this.#entries.has(key) && this.#entries.size >= this.#limits.entries) return 'full'
    if (this.#allowance < 1) return 'wait'
    this.#allowance--
    this.#packets++
    this.#entries.delete(key)
    this.#entries.set(key, this.#clock.now() + ENTRY_MS)
    this.#peakEntries = Math.max(this.#peakEntries, this.#entries.size)
    return 'send'
  }

  /** Milliseconds until the next packet may leave. */
  get waitMs(): number {
    this.#turn()
    return this.#allowance >= 1 ? 0 : Math.ceil(((1 - this.#allowance) * 1000) / this.#limits.packetsPerS)
  }

  /** What was used, for `status`. */
  get report() {
    this.#turn()
    return {
      entries: this.#entries.size,
      peakEntries: this.#peakEntries,
      packets: this.#packets,
      limit: this.#limits.entries,
    }
  }

  #turn(): void {
    const now = this.#clock.now()
    const grown = ((now - this.#allowedAt) * this.#limits.packetsPerS) / 1000
    this.#allowance = Math.min(BURST, this.#limits.packetsPerS, this.#allowance + grown)
    this.#allowedAt = now
    for (const [key, diesAt] of this.#entries) {
      if (diesAt > now) return
      this.#entries.delete(key)
    }
  }
}
