import { isIP, type Socket } from 'node:net'
import { CulvertError, reasonOf } from '../../common/errors.ts'
import type { Clock } from '../../common/platform/clock.ts'
import type { KeyPair } from '../../common/platform/ed25519.ts'
import { createRateGate, type Log } from '../../common/platform/log.ts'
import type { Random } from '../../common/platform/random.ts'
import type { HomeRelay } from '../../common/wire/address-record.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import type { CallFailure } from '../../common/wire/relay-message.ts'
import { ForeignRelays, type PeerHomes } from './foreign-relays.ts'
import type { LineNetwork } from './line-words.ts'
import { attachPipe, refusalOr } from './pipe.ts'
import type { RelayAddress } from './relay-dial.ts'
import { RelayLine, type RelayLineEvents, type RelayState } from './relay-line.ts'

/** Our end of a pipe, and the relay that forwards it. */
export interface OpenPipe {
  readonly socket: Socket
  readonly relay: URL
  /** Aborts, with the reason, when the peer refuses the call. */
  readonly failure?: AbortSignal
}

/** A peer rings: take the pipe up, or say why not. */
export interface IncomingCall {
  readonly from: PeerId
  attach(signal: AbortSignal): Promise<OpenPipe>
  refuse(reason: CallFailure): void
}

export interface RelayReport {
  readonly url: string
  readonly state: RelayState
  readonly rttMs: number | null
  readonly lastError: string | null
}

export interface RendezvousOptions {
  readonly relays: readonly RelayAddress[]
  readonly identity: KeyPair
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly software: string
  /** Names this process, also across a change of relays. */
  readonly instance: Uint8Array
  /** This machine's, now. */
  readonly addresses: () => readonly string[]
  readonly isTrusted: (peer: PeerId) => boolean
  /** Where a peer says that it can be called; absent where nobody remembers that. */
  readonly homesOf?: (peer: PeerId) => PeerHomes | undefined
  readonly onCall: (call: IncomingCall) => void
  readonly onPresence: (peer: PeerId, online: boolean) => void
  /** A line broke: perhaps our own network is another one now. */
  readonly onLost: () => void
  readonly onChange: () => void
  /** What time a relay has; ms since 1970. */
  readonly onTime?: (serverTime: number) => void
  readonly network?: LineNetwork
}

/** Finds peers: all relays of the config together. */
export class Rendezvous {
  readonly #options: RendezvousOptions
  readonly #lines: readonly RelayLine[]
  readonly #foreign: ForeignRelays<RelayLine>
  readonly #mayLogStranger: (key: string) => boolean

  constructor(options: RendezvousOptions) {
    this.#options = options
    this.#mayLogStranger = createRateGate(options.clock, 60_000)
    const { instance } = options
    const events = {
      onRing: (line: RelayLine, from: PeerId, ticket: Uint8Array) => this.#ring(line, from, ticket),
      onPresence: (_line: RelayLine, peer: PeerId, online: boolean) => options.onPresence(peer, online),
      onLost: () => options.onLost(),
      onChange: () => options.onChange(),
      onTime: (serverTime: number) => options.onTime?.(serverTime),
    }
    const { identity, clock, random, log, software, addresses } = options
    const lineTo = (relay: RelayAddress, own: RelayLineEvents) => {
      const { network } = options
      return new RelayLine({ relay, identity, clock, random, log, software, instance, addresses, events: own, network })
    }
    this.#lines = options.relays.map(relay => lineTo(relay, events))
    this.#foreign = new ForeignRelays({
      clock,
      environment: process.env,
      isOurs: relay =>
        this.homeRelays().some(({ url, id }) => url === relay.url || (id !== undefined && id === relay.id)),
      open: (relay, onChange) => {
        const changed = () => {
          onChange()
          options.onChange()
        }
        return lineTo(relay, { ...events, onLost: changed, onChange: changed })
      },
    })
  }

  report(): readonly RelayReport[] {
    return this.#lines.map(({ relay, state, silent, rttMs, lastError }) => ({
      url: relay.url.href.replace(/\/$/, ''),
      // It may yet answer, but nobody is told that a line is good which may be dead.
      state: silent ? 'connecting' : state,
      // What it was before the line went down says nothing about now.
      rttMs: state === 'connected' && !silent ? rttMs : null,
      lastError: silent ? `relay ${relay.url.host} is asked and does not answer` : lastError,
    }))
  }

  /** What others have to know to call us. */
  homeRelays(): readonly HomeRelay[] {
    return this.#lines.map(line => line.home)
  }

  get connected(): boolean {
    return this.#lines.some(line => line.state === 'connected')
  }

  /** Whether a relay is reached over one of these IP versions, or over one that it did not tell. */
  isReachedOver(versions: readonly number[]): boolean {
    return this.#lines.some(({ state, observed }) => {
      return state === 'connected' && (observed === undefined || versions.includes(isIP(observed)))
    })
  }

  /** Whether a line may still come up by itself, so that a caller had better wait. */
  get connecting(): boolean {
    return this.#lines.some(line => line.state === 'connecting')
  }

  /** Whether a line came back so lately that agents which had lost the same relay may not have come back yet. */
  get gathering(): boolean {
    return this.#lines.some(line => line.gathering)
  }

  stunServers(): readonly Endpoint[] {
    return [...this.#lines.flatMap(line => line.stun), ...this.#foreign.stunServers()]
  }

  /** The address that each relay saw us come from last, by the relay's URL. */
  observed(): ReadonlyMap<string, string> {
    const seen = this.#lines.flatMap(({ relay, observed }) =>
      observed === undefined ? [] : [[relay.url.href, observed] as const],
    )
    return new Map(seen)
  }

  /** True when a relay says the peer is there, false when one says it is not, undefined when none knows. */
  presence(peer: PeerId): boolean | undefined {
    const told = this.#lines.map(line => line.presence(peer))
    return told.includes(true) ? true : told.includes(false) ? false : undefined
  }

  watch(peers: readonly PeerId[]): void {
    for (const line of this.#lines) line.watch(peers)
  }

  /** Asks lines that were quiet for a while whether they live; resolves when that is known, after 2.5 s at most. */
  async look(): Promise<void> {
    await Promise.all(this.#lines.map(line => line.look()))
  }

  /** What this device is in its network has changed, so that relays have to see it anew. */
  introduce(): void {
    for (const line of this.#lines) line.introduce()
  }

  /** Whom this device has invited has changed. */
  tellGuests(): void {
    for (const line of this.#lines) line.tellGuests()
  }

  /** Has the relays pass an entry of our network on, given as a chain. */
  announce(chain: Uint8Array): void {
    for (const line of this.#lines) line.announce(chain)
  }

  wake(): void {
    for (const line of this.#lines) line.wake()
  }

  /** Somebody may wait for a relay soon: lines are asked whether they live, without hurry. */
  ask(): void {
    for (const line of this.#lines) line.ask()
  }

  /** Somebody waits for a relay: lines that may be dead are asked, and dead ones dialled, at once but not too often. */
  hurry(): void {
    for (const line of this.#lines) line.hurry()
  }

  /** The round trip to the slowest connected relay, as far as it is known, in ms. */
  get rttMs(): number {
    return Math.max(0, ...this.#lines.map(line => (line.state === 'connected' ? (line.leastRttMs ?? 0) : 0)))
  }

  /**
   * Opens a pipe to a peer over the first relay that can, after ours over one that the peer named. Rejects with `peer-offline`, `peer-refused`, `busy`,
   * `over-quota` or `relay-unreachable`: the reason of the relay that came furthest.
   */
  async call(peer: PeerId, signal: AbortSignal): Promise<OpenPipe> {
    const lines = this.#lines
      .filter(line => line.state === 'connected')
      .sort((a, b) => Number(b.presence(peer) ?? false) - Number(a.presence(peer) ?? false))
      .sort((a, b) => Number(a.late) - Number(b.late))
    let reason = new CulvertError('relay-unreachable', this.#whyNoRelay())
    for (const line of lines) {
      try {
        return await this.#callOver(line, peer, signal)
      } catch (thrown) {
        if (!(thrown instanceof CulvertError) || thrown.code === 'aborted') throw thrown
        if (reason.code === 'relay-unreachable' || reason.code === 'peer-offline') reason = thrown
      }
    }
    return (await this.#callAbroad(peer, reason, signal)) ?? Promise.reject(reason)
  }

  /** Undefined when there is no relay to try, or its word says less than that of ours. */
  async #callAbroad(peer: PeerId, reason: CulvertError, signal: AbortSignal): Promise<OpenPipe | undefined> {
    if (reason.code !== 'relay-unreachable' && reason.code !== 'peer-offline') return undefined
    const homes = this.#options.homesOf?.(peer)
    if (!homes) return undefined
    try {
      return await this.#foreign.callAt(peer, homes, line => this.#callOver(line, peer, signal), signal)
    } catch (thrown) {
      if (reason.code === 'relay-unreachable' && !this.connecting) throw thrown
      this.#options.log.debug('a relay of the peer did not help', { reason: reasonOf(thrown) })
      return undefined
    }
  }

  /**
   * Has a relay look at a port of ours, at the address that it sees us at: one that reached it is enough. `unknown` when
   * none can look there now.
   */
  async lookFromOutside(
    transport: 'tcp' | 'udp',
    endpoint: Endpoint,
    nonce: Uint8Array,
    signal: AbortSignal,
  ): Promise<'reached' | 'unreached' | 'unknown'> {
    let found: 'unreached' | 'unknown' = 'unknown'
    for (const line of this.#lines) {
      const outcome = await line.lookAt(transport, endpoint, nonce, signal)
      if (outcome === 'reached') return 'reached'
      if (outcome === 'unreached') found = 'unreached'
    }
    return found
  }

  close(): void {
    for (const line of this.#lines) line.close()
    this.#foreign.close()
  }

  async #callOver(line: RelayLine, peer: PeerId, signal: AbortSignal): Promise<OpenPipe> {
    const { ticket, failure } = await line.call(peer, signal)
    try {
      const socket = await attachPipe(line.relay, ticket, this.#options.clock, AbortSignal.any([signal, failure]))
      return { socket, relay: line.relay.url, failure }
    } catch (thrown) {
      throw await refusalOr(thrown, failure, this.#options.clock)
    }
  }

  #whyNoRelay(): string {
    if (this.#lines.length === 0)
      return 'it was not found on the local network, and no relay is configured; add one under "relays"'
    return this.#lines.map(line => line.lastError ?? `relay ${line.relay.url.host} is not connected yet`).join('; ')
  }

  #ring(line: RelayLine, from: PeerId, ticket: Uint8Array): void {
    const { clock, log, isTrusted, onCall } = this.#options
    if (!isTrusted(from)) {
      line.refuse(ticket, 'refused')
      if (this.#mayLogStranger(from)) {
        log.warn('a stranger called and was refused; to let it in, add its id to "peers"', { id: from })
      }
      return
    }
    onCall({
      from,
      attach: async signal => ({ socket: await attachPipe(line.relay, ticket, clock, signal), relay: line.relay.url }),
      refuse: reason => line.refuse(ticket, reason),
    })
  }
}
