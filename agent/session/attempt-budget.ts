import type { Clock } from '../../common/platform/clock.ts'
import { type Endpoint, formatEndpoint } from '../../common/wire/endpoint.ts'

/** A peer tells up to 32 candidates, and again when its network changes. */
const DIALS_PER_PERIOD = 96
const PERIOD_MS = 10_000
/** The same address is not dialled again this soon: nothing but a peer that says so often would have us do it. */
const REDIAL_MS = 2_000
/** Each costs a native connection; an honest peer sends three at most. */
const UDP_OFFERS_PER_PERIOD = 8
/** Each may cost some hundred SYNs towards a router that answers RST; two NATs that count their ports need three, and IPv6 one. */
const PUNCH_OFFERS_PER_PERIOD = 6
/** Rounds of UDP probes that a peer sets off; an honest one begins when its own begins. */
const PROBE_RUNS_PER_PERIOD = 6
/** UDP probes to addresses that a peer told: eight to each of its candidates, twice. */
const PROBES_PER_PERIOD = 512
/** Answers to its probes go where those came from, which it can forge. */
const PROBE_ANSWERS_PER_PERIOD = 1_024
/** Each may cost as many probes as the agent's budget for all of them lets pass; two NATs that count need three. */
const SEARCH_OFFERS_PER_PERIOD = 4
/** Each costs a signature to look at; an honest peer has one, and one more when something changes. */
const RECORDS_PER_PERIOD = 6

/**
 * What one peer can make us do to addresses of its choice. It lives as long as we know the peer, so that a restart of
 * its session gives it nothing anew.
 */
export class AttemptBudget {
  readonly #clock: Clock
  readonly #dialledAt = new Map<string, number>()
  #periodFrom: number
  #dials = 0
  #udpOffers = 0
  #punchOffers = 0
  #probeRuns = 0
  #probes = 0
  #probeAnswers = 0
  #searchOffers = 0
  #records = 0

  constructor(clock: Clock) {
    this.#clock = clock
    this.#periodFrom = clock.now()
  }

  /** True when this address may be dialled now. */
  takeDial(endpoint: Endpoint): boolean {
    this.#turn()
    const now = this.#clock.now()
    const key = formatEndpoint(endpoint)
    if (this.#dials >= DIALS_PER_PERIOD || now - (this.#dialledAt.get(key) ?? Number.NEGATIVE_INFINITY) < REDIAL_MS) {
      return false
    }
    this.#dials++
    this.#dialledAt.set(key, now)
    return true
  }

  /** The peer itself was there: it may be dialled again as soon as it is wanted again. */
  ledToPeer(endpoint: Endpoint): void {
    this.#dialledAt.delete(formatEndpoint(endpoint))
  }

  takeUdpOffer(): boolean {
    this.#turn()
    return this.#udpOffers++ < UDP_OFFERS_PER_PERIOD
  }

  takePunchOffer(): boolean {
    this.#turn()
    return this.#punchOffers++ < PUNCH_OFFERS_PER_PERIOD
  }

  takeProbeRun(): boolean {
    this.#turn()
    return this.#probeRuns++ < PROBE_RUNS_PER_PERIOD
  }

  takeProbe(): boolean {
    this.#turn()
    return this.#probes++ < PROBES_PER_PERIOD
  }

  takeProbeAnswer(): boolean {
    this.#turn()
    return this.#probeAnswers++ < PROBE_ANSWERS_PER_PERIOD
  }

  takeSearchOffer(): boolean {
    this.#turn()
    return this.#searchOffers++ < SEARCH_OFFERS_PER_PERIOD
  }

  takeRecord(): boolean {
    this.#turn()
    return this.#records++ < RECORDS_PER_PERIOD
  }

  #turn(): void {
    const now = this.#clock.now()
    if (now - this.#periodFrom < PERIOD_MS) return
    this.#periodFrom = now
    this.#dials = 0
    this.#udpOffers = 0
    this.#punchOffers = 0
    this.#probeRuns = 0
    this.#probes = 0
    this.#probeAnswers = 0
    this.#searchOffers = 0
    this.#records = 0
    this.#dialledAt.clear()
  }
}
