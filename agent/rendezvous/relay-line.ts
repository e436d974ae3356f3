import { isIP } from 'node:net'
import { asCulvertError, CulvertError } from '../../common/errors.ts'
import type { Timer } from '../../common/platform/clock.ts'
import { createRateGate, type Log } from '../../common/platform/log.ts'
import { LogGate } from '../../common/platform/log-gate.ts'
import type { HomeRelay } from '../../common/wire/address-record.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import {
  type AgentMessage,
  type CallFailure,
  REACH_FEATURE,
  type ReachOutcome,
  type RelayMessage,
} from '../../common/wire/relay-message.ts'
import { CallRequests, type PlacedCall } from './call-requests.ts'
import { LineAttempt, type LineAttemptEvents, type LineAttemptOptions, type WelcomedLine } from './line-attempt.ts'
import { LinePulse } from './line-pulse.ts'
import { type LineNetwork, LineWords } from './line-words.ts'
import type { OpenLine } from './open-line.ts'
import { ReachRequests } from './reach-requests.ts'
import {
  afterFailure,
  afterLoss,
  afterNetworkChange,
  afterWelcome,
  doubtMs,
  hurriedAttemptMs,
  hurriedDelayMs,
  hurryMs,
  initialReconnect,
  reconnectDelayMs,
} from './reconnect.ts'
import type { RelayAddress } from './relay-dial.ts'
import { usableStun } from './usable-stun.ts'

/** So long somebody who waited for the line is taken to wait still. */
const HURRIED_MS = 3_000
/** At a time: on a slow machine each takes its time, and the first that is welcomed is the line. */
const MAX_ATTEMPTS = 3
/** How long a machine that was pushed off by its clone leaves it the line. */
const CLONE_WAIT_MS = 30_000
/** Ours: with few lines all are back within 1.2 s, and within 4 s of the next look where there are many. */
const GATHERING_MS = 5_000
/** What a relay may ask for between two signs of life of ours. */
const KEEP_ALIVE_MS = { min: 5_000, max: 120_000 } as const

export type RelayState = 'connecting' | 'connected' | 'refused'

export interface RelayLineOptions extends LineAttemptOptions {
  readonly log: Log
  /** This machine's addresses now. */
  readonly addresses: () => readonly string[]
  readonly events: RelayLineEvents
  readonly network?: LineNetwork | undefined
}

export interface RelayLineEvents {
  onRing(line: RelayLine, from: PeerId, ticket: Uint8Array): void
  onPresence(line: RelayLine, peer: PeerId, online: boolean): void
  /** It was connected, and is not any more. */
  onLost(line: RelayLine): void
  onChange(line: RelayLine): void
  /** What time the relay has; ms since 1970. */
  onTime(serverTime: number): void
}

/** The control line to one relay, kept up for as long as the agent runs. */
export class RelayLine {
  readonly relay: RelayAddress
  readonly #options: RelayLineOptions
  readonly #closing = new AbortController()
  /** To connect, oldest first; also beside a line that may be dead. */
  #attempts: readonly LineAttempt[] = []
  readonly #calls: CallRequests
  readonly #online = new Map<PeerId, boolean>()
  #line: OpenLine | undefined
  /** The relay has closed the line for one of our own attempts. */
  #replaced = false
  #state: RelayState = 'connecting'
  #lastError: string | null = null
  #stun: readonly Endpoint[] = []
  /** The address at which the relay looks when it is asked to; undefined when it cannot. */
  #looksAt: string | undefined
  /** Where the line leads; unknown behind a proxy. */
  #relayAddress: string | undefined
  /** Who it proved to be, where the config does not say it. */
  #relayId: PeerId | undefined
  /** Our end of it. */
  #ownAddress: string | undefined
  /** The address that the relay saw us come from last; behind a proxy, the proxy's. */
  observed: string | undefined
  #reconnect = initialReconnect
  #retryTimer: Timer | undefined
  /** When a relay that refused us wants to be asked again. */
  #notBefore = 0
  /** When the last attempt to connect began. */
  #triedAt = 0
  #welcomedAt = 0
  /** It was lost since the start. */
  #wasLost = false
  #hurriedAt = Number.NEGATIVE_INFINITY
  readonly #mayLog: (key: string) => boolean
  /** A relay could welcome us and drop us without end. */
  readonly #comings: LogGate
  readonly #reach: ReachRequests
  readonly #pulse: LinePulse
  readonly #words: LineWords

  constructor(options: RelayLineOptions) {
    this.#options = options
    this.#mayLog = createRateGate(options.clock, 60_000)
    this.relay = options.relay
    this.#comings = new LogGate(options.log, options.clock, () => ({ relay: this.relay.url.host }))
    const send = (message: AgentMessage) => this.#send(message)
    this.#words = new LineWords(options.network, send)
    this.#reach = new ReachRequests(options.clock, send)
    this.#calls = new CallRequests(options.clock, options.relay.url.host, send)
    this.#pulse = new LinePulse({
      clock: options.clock,
      ping: id => this.#send({ type: 'ping', id }),
      onLate: () => this.#connectBeside(),
      onSilence: () => options.events.onChange(this),
      onDead: reason => this.#lost(reason),
    })
    void this.#connect()
  }

  get state(): RelayState {
    return this.#state
  }

  /** Why the line is down, or was last; null when it never failed since its welcome. */
  get lastError(): string | null {
    return this.#lastError
  }

  /** It was asked, and has not answered for a while. */
  get silent(): boolean {
    return this.#pulse.silent
  }

  get rttMs(): number | null {
    return this.#pulse.rttMs
  }

  /** Without what made single round trips long. */
  get leastRttMs(): number | null {
    return this.#pulse.leastRttMs
  }

  /** For who is not connected to it, as far as it is known: proven, and where its name led. */
  get home(): HomeRelay {
    const { url, id, proxy } = this.relay
    const named = !proxy && !isIP(url.hostname.replace(/^\[|\]$/g, ''))
    // `ws` and `wss` are other words for the same.
    return {
      url: url.origin.replace(/^ws/, 'http'),
      id: id ?? this.#relayId,
      address: named ? this.#relayAddress : undefined,
    }
  }

  /** Also while the line is down: what stands beside the relay is rarely gone with it. */
  get stun(): readonly Endpoint[] {
    return this.#state === 'refused' ? [] : this.#stun
  }

  get gathering(): boolean {
    const { clock } = this.#options
    return this.#state === 'connected' && this.#wasLost && clock.now() - this.#welcomedAt < GATHERING_MS
  }

  /** Undefined when the relay has not told: not connected, or the peer does not watch us. */
  presence(peer: PeerId): boolean | undefined {
    return this.#state === 'connected' ? this.#online.get(peer) : undefined
  }

  watch(peers: readonly PeerId[]): void {
    this.#words.watch(peers)
  }

  tellGuests(): void {
    this.#words.tellGuests()
  }

  /** Has the relay pass an entry of our network on. */
  announce(chain: Uint8Array): void {
    this.#words.announce(chain)
  }

  /** Asks the relay to ring a peer. */
  call(to: PeerId, signal: AbortSignal): Promise<PlacedCall> {
    if (this.#state !== 'connected') {
      return Promise.reject(new CulvertError('relay-unreachable', `relay ${this.relay.url.host} is not connected`))
    }
    this.#pulse.used()
    return this.#calls.place(to, signal)
  }

  refuse(ticket: Uint8Array, reason: CallFailure): void {
    this.#send({ type: 'refuse', ticket, reason })
  }

  /** Has the relay look at a port of ours from outside; undefined when it cannot look at this address. */
  lookAt(
    transport: 'tcp' | 'udp',
    endpoint: Endpoint,
    nonce: Uint8Array,
    signal: AbortSignal,
  ): Promise<ReachOutcome> | undefined {
    if (this.#state !== 'connected' || this.#looksAt !== endpoint.address) return undefined
    return this.#reach.ask(transport, endpoint.port, nonce, signal)
  }

  /** What this device is has changed: it says hello anew, beside the line that is up. */
  introduce(): void {
    if (this.#closing.signal.aborted) return
    this.#notBefore = 0
    this.#giveUpAttempts()
    this.#connectNow()
  }

  /** Looks whether the line still lives, or tries again at once, as after a change of the network. */
  wake(): void {
    if (this.#closing.signal.aborted) return
    this.#reconnect = afterNetworkChange(this.#reconnect)
    const gone = this.#ownAddress !== undefined && !this.#options.addresses().includes(this.#ownAddress)
    // They were begun in what may be another network.
    this.#giveUpAttempts()
    if (gone) this.#lost('our address is gone')
    if (this.#state === 'connected') this.#pulse.askSoon()
    else if (this.#options.clock.now() >= this.#notBefore) this.#connectNow()
    else if (!this.#retryTimer) this.#retryLater(chance => reconnectDelayMs(this.#reconnect, chance))
  }

  /** Somebody may wait for this line soon. */
  ask(): void {
    if (this.#state === 'connected') this.#pulse.ask()
  }

  /** Asks it whether it lives, if it was quiet for a while; resolves when that is known, after 2.5 s at most. */
  look(): Promise<void> {
    return this.#pulse.look()
  }

  /** A ping has no answer yet, and somebody waits. */
  get late(): boolean {
    return this.#state === 'connected' && this.#pulse.late
  }

  /** Somebody waits for this line; may be called again and again. */
  hurry(): void {
    if (this.#closing.signal.aborted) return
    const now = this.#options.clock.now()
    this.#hurriedAt = now
    const newest = this.#attempts.at(-1)
    if (newest) {
      // It may hang on an address, or on a NAT, that is gone.
      const hangs = now - newest.beganAt >= hurriedAttemptMs(this.leastRttMs, this.#attempts.length)
      if (hangs && now >= this.#notBefore) void this.#connect()
    } else if (this.#state === 'connected') {
      if (this.#pulse.late) this.#connectBeside()
      else this.#pulse.askSoon()
    } else if (now >= Math.max(this.#notBefore, this.#triedAt + hurryMs(this.#reconnect))) this.#connectNow()
  }

  /** The line may be dead. */
  #connectBeside(): void {
    const soonest = Math.max(this.#notBefore, this.#triedAt + doubtMs(this.#reconnect))
    if (this.#options.clock.now() >= soonest) this.#connectNow()
  }

  #giveUpAttempts(): void {
    for (const attempt of this.#attempts) attempt.giveUp()
    this.#attempts = []
  }

  #connectNow(): void {
    if (this.#attempts.length > 0 || this.#closing.signal.aborted) return
    this.#retryTimer?.cancel()
    this.#retryTimer = undefined
    void this.#connect()
  }

  close(): void {
    this.#closing.abort()
    for (const attempt of this.#attempts) attempt.giveUp()
    this.#comings.close()
    this.#retryTimer?.cancel()
    this.#drop(undefined)
  }

  async #connect(): Promise<void> {
    this.#triedAt = this.#options.clock.now()
    const attempt = new LineAttempt(this.#options, this.#attemptEvents)
    this.#attempts = [...this.#attempts, attempt]
    if (this.#attempts.length > MAX_ATTEMPTS) {
      this.#attempts[0]?.giveUp()
      this.#attempts = this.#attempts.slice(1)
    }
    try {
      const { line, welcome } = await attempt.welcome
      // What stood right behind the welcome may have ended the line.
      if (this.#line !== line || this.#closing.signal.aborted) return
      this.#lastError = null
      this.#relayId = line.relayId
      this.#options.events.onTime(welcome.serverTime)
      this.#stun = usableStun(welcome.stun, this.#relayAddress)
      this.#looksAt = welcome.features.includes(REACH_FEATURE) ? welcome.observed?.address : undefined
      this.observed = welcome.observed?.address
      this.#reconnect = afterWelcome(this.#reconnect, welcome.reconnectWindowMs)
      this.#pulse.start(Math.min(Math.max(welcome.keepAliveMs, KEEP_ALIVE_MS.min), KEEP_ALIVE_MS.max))
      this.#words.welcomed(welcome.features)
      this.#comings.info('relay connected', { relay: this.relay.url.host })
      this.#options.events.onChange(this)
    } catch (thrown) {
      // One that was given up has another in its place.
      if (this.#closing.signal.aborted || !this.#attempts.includes(attempt)) return
      this.#attempts = this.#attempts.filter(other => other !== attempt)
      this.#failed(asCulvertError(thrown, 'relay-unreachable', `relay ${this.relay.url.host}`))
    }
  }

  #failed(error: CulvertError): void {
    const { log } = this.#options
    if (this.#attempts.length > 0 || this.#line) {
      log.debug(error.message)
      return
    }
    if (this.#state === 'connected') this.#lost('it was replaced by a line that did not come up')
    this.#drop(error)
    this.#state = error.code === 'relay-refused' || error.code === 'relay-impersonated' ? 'refused' : 'connecting'
    this.#reconnect = afterFailure(this.#reconnect)
    if (this.#reconnect.failures === 1 || this.#mayLog(error.code)) log.warn(error.message)
    else log.debug(error.message)
    this.#options.events.onChange(this)
    this.#retryLater(chance => reconnectDelayMs(this.#reconnect, chance))
  }

  #retryLater(delayMs: (chance: number) => number): void {
    if (this.#closing.signal.aborted) return
    const { clock } = this.#options
    const chance = this.#options.random.integer(0, 1_000_000) / 1_000_000
    this.#retryTimer?.cancel()
    const delay = Math.max(delayMs(chance), this.#notBefore - clock.now())
    this.#retryTimer = clock.after(delay, () => {
      this.#retryTimer = undefined
      this.#connectNow()
    })
  }

  readonly #attemptEvents: LineAttemptEvents = {
    onWelcome: (attempt, welcomed) => this.#adopt(attempt, welcomed),
    onMessage: (line, message) => {
      if (this.#line === line) this.#handle(message)
    },
    onRefused: retryAfterMs => {
      this.#notBefore = this.#options.clock.now() + retryAfterMs
    },
    onEnd: (line, reason) => {
      if (this.#line === line) this.#ended(reason)
    },
  }

  /** Takes a line over in place of one that may be dead. A newer attempt goes on: the relay may know it already. */
  #adopt(attempt: LineAttempt, { line, relayAddress, ownAddress }: WelcomedLine): void {
    const at = this.#attempts.indexOf(attempt)
    for (const older of this.#attempts.slice(0, at)) older.giveUp()
    this.#attempts = this.#attempts.slice(at + 1)
    if (this.#state === 'connected') {
      if (!this.#pulse.answered) this.#reconnect = afterLoss(this.#reconnect, 0)
      this.#drop(new CulvertError('busy', 'another line took the place of the one that was asked'))
    }
    this.#retryTimer?.cancel()
    this.#retryTimer = undefined
    this.#line = line
    this.#replaced = false
    this.#relayAddress = relayAddress
    this.#ownAddress = ownAddress
    this.#state = 'connected'
    this.#welcomedAt = this.#options.clock.now()
  }

  #ended(reason: string): void {
    if (this.#replaced && this.#attempts.length > 0) this.#line = undefined
    else this.#lost(reason)
  }

  #handle(message: RelayMessage): void {
    const { events } = this.#options
    this.#pulse.heard()
    switch (message.type) {
      case 'ticket':
        this.#calls.answer(message.call, message.ticket)
        return
      case 'call-failed':
        this.#calls.fail(message.call, message.reason)
        return
      case 'ring':
        this.#pulse.used()
        events.onRing(this, message.from, message.ticket)
        return
      case 'presence':
        if (this.#words.watches(message.peer)) {
          this.#online.set(message.peer, message.online)
          events.onPresence(this, message.peer, message.online)
        }
        return
      case 'replaced':
        if (message.sameInstance) this.#replaced = true
        else this.#onClone(message.by)
        return
      case 'going-away':
        this.#reconnect = afterWelcome(this.#reconnect, message.reconnectWindowMs)
        return
      case 'pong':
        this.#pulse.pong()
        return
      case 'reached':
        this.#reach.settle(message.check, message.outcome)
        return
      case 'statement':
        if (this.#line?.relayId !== undefined) this.#options.network?.onStatement(message.chain, this.#line.relayId)
        return
      default:
        return
    }
  }

  /** Two machines with one key push each other off the line; neither may do so every second. */
  #onClone(other: string): void {
    const { log, clock } = this.#options
    this.#notBefore = clock.now() + CLONE_WAIT_MS
    const what = `another machine, at ${other}, runs with the same identity; each key belongs to one device: make a new one there`
    if (this.#mayLog('replaced')) log.error(what, { relay: this.relay.url.host })
    this.#lost(what)
  }

  #lost(reason: string): void {
    if (this.#state !== 'connected') return
    const { clock, events } = this.#options
    this.#drop(new CulvertError('relay-unreachable', `relay ${this.relay.url.host}: ${reason}`))
    this.#state = 'connecting'
    this.#wasLost = true
    if (!this.#closing.signal.aborted) this.#comings.warn('relay lost', { relay: this.relay.url.host, reason })
    const now = clock.now()
    // One that never answered was none, either.
    this.#reconnect = afterLoss(this.#reconnect, this.#pulse.answered ? now - this.#welcomedAt : 0)
    const waited = now - this.#hurriedAt < HURRIED_MS && now - this.#triedAt >= hurryMs(this.#reconnect)
    if (this.#attempts.length === 0) {
      this.#retryLater(chance => (waited ? hurriedDelayMs(chance) : reconnectDelayMs(this.#reconnect, chance)))
    }
    events.onLost(this)
    events.onChange(this)
  }

  #drop(error: CulvertError | undefined): void {
    this.#pulse.stop()
    this.#words.lost()
    this.#online.clear()
    if (error) this.#lastError = error.message
    const line = this.#line
    this.#line = undefined
    line?.close()
    this.#calls.failAll(error ?? new CulvertError('aborted', 'the agent stops'))
    this.#reach.failAll()
  }

  #send(message: AgentMessage): void {
    this.#line?.send(message)
  }
}
