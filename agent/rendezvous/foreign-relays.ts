import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { CulvertError } from '../../common/errors.ts'
import { aborting } from '../../common/platform/aborting.ts'
import { type Clock, pause, type Timer } from '../../common/platform/clock.ts'
import type { HomeRelay } from '../../common/wire/address-record.ts'
import type { Endpoint } from '../../common/wire/endpoint.ts'
import type { PeerId } from '../../common/wire/peer-id.ts'
import { mayDial } from './dialled-by.ts'
import { relayAddresses } from './relay-addresses.ts'
import { isSecure, type RelayAddress } from './relay-dial.ts'
import type { RelayLine } from './relay-line.ts'

/** Relays that are none of ours, at a time: a record may have us dial any public address. */
const MAX_LINES = 2
/** Lines are kept so long after their last call: what they tell of STUN servers may still lead to a direct path. */
const LINGER_MS = 120_000
const CONNECT_MS = 6_000
/** A relay that did not take us is left alone for a while, and so is a peer that is not there, longer each time. */
const AGAIN_MS = { relay: 60_000, peer: 20_000, most: 600_000 } as const
const MAX_REMEMBERED = 256
/** Where a name led before is good enough when DNS takes longer. */
const DNS_PATIENCE_MS = 1_000

/** Where a peer says that it can be called. */
export interface PeerHomes {
  readonly relays: readonly HomeRelay[]
  /** It is where we are, so that its relay may have a private address, too. */
  readonly near: boolean
}

/** What is needed of a line to keep it. */
export type KeptLine = Pick<RelayLine, 'state' | 'lastError' | 'stun' | 'close'>

export interface ForeignRelaysOptions<L extends KeptLine> {
  readonly clock: Clock
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly isOurs: (relay: HomeRelay) => boolean
  readonly open: (relay: RelayAddress, onChange: () => void) => L
  /** For tests: what DNS says of a name. */
  readonly resolve?: (host: string) => Promise<readonly string[]>
}

interface ForeignLine<L> {
  readonly key: string
  readonly line: L
  readonly connected: Promise<void>
  users: number
  timer: Timer | undefined
  usedAt: number
}

/** Short lines to the relays of peers which are none of ours: to call a peer where it can be called. */
export class ForeignRelays<L extends KeptLine> {
  readonly #options: ForeignRelaysOptions<L>
  readonly #lines = new Map<string, ForeignLine<L>>()
  /** Relays and peers that failed, and when they may be tried again. */
  readonly #failed = new Map<string, { readonly until: number; readonly afterMs: number }>()
  /** One question for each name at a time: one that hangs holds a thread. */
  readonly #asking = new Map<string, Promise<readonly string[]>>()
  #closed = false

  constructor(options: ForeignRelaysOptions<L>) {
    this.#options = options
  }

  /** STUN servers beside relays that are in use. */
  stunServers(): readonly Endpoint[] {
    return [...this.#lines.values()].flatMap(({ line }) => line.stun)
  }

  /**
   * Runs `call` with a line to each of a peer's relays in turn, until one succeeds. Undefined when there is none to try;
   * rejects with why the last one failed.
   */
  async callAt<T>(
    peer: PeerId,
    { relays, near }: PeerHomes,
    call: (line: L) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T | undefined> {
    if (this.#isLeftAlone(peer)) return undefined
    let failed: CulvertError | undefined
    for (const relay of relays) {
      if (this.#options.isOurs(relay)) continue
      try {
        const line = await this.#lineTo(relay, near, signal)
        if (!line) continue
        try {
          const result = await call(line.line)
          this.#failed.delete(peer)
          return result
        } finally {
          this.#release(line)
        }
      } catch (thrown) {
        if (!(thrown instanceof CulvertError) || thrown.code === 'aborted') throw thrown
        failed = thrown
      }
    }
    if (!failed) return undefined
    this.#leaveAlone(peer, Math.min((this.#failed.get(peer)?.afterMs ?? AGAIN_MS.peer / 2) * 2, AGAIN_MS.most))
    throw failed
  }

  close(): void {
    this.#closed = true
    for (const line of this.#lines.values()) this.#drop(line)
  }

  /** Undefined for one that is not to be dialled, at least now. */
  async #lineTo(relay: HomeRelay, near: boolean, signal: AbortSignal): Promise<ForeignLine<L> | undefined> {
    const key = `${relay.url} ${relay.id ?? ''}`
    if (!this.#lines.has(key)) {
      if (this.#isLeftAlone(key)) return undefined
      const address = await this.#addressOf(relay, near, signal)
      if (!address || this.#closed || signal.aborted) return undefined
      // Somebody else may have been quicker.
      if (!this.#lines.has(key)) this.#open(key, address)
    }
    const line = this.#lines.get(key)
    if (!line) return undefined
    line.users++
    line.timer?.cancel()
    try {
      await aborting(line.connected, signal)
      return line
    } catch (thrown) {
      this.#release(line)
      throw thrown
    }
  }

  #open(key: string, relay: RelayAddress): void {
    const { clock, open } = this.#options
    if (this.#lines.size >= MAX_LINES && !this.#makeRoom()) {
      throw new CulvertError('busy', `${MAX_LINES} relays of other peers are in use already`)
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    promise.catch(() => undefined)
    const look = () => {
      if (line.state === 'connected') resolve()
      else if (line.lastError !== null) fail(line.lastError)
    }
    const fail = (reason: string) => {
      reject(new CulvertError('relay-unreachable', reason))
      const found = this.#lines.get(key)
      if (found?.line !== line) return
      this.#drop(found)
      this.#leaveAlone(key, AGAIN_MS.relay)
    }
    const line: L = open(relay, look)
    const limit = clock.after(CONNECT_MS, () => fail(`relay ${relay.url.host} did not welcome us in time`))
    void promise.then(
      () => limit.cancel(),
      () => limit.cancel(),
    )
    this.#lines.set(key, { key, line, connected: promise, users: 0, timer: undefined, usedAt: clock.now() })
  }

  #release(line: ForeignLine<L>): void {
    const { clock } = this.#options
    line.users--
    line.usedAt = clock.now()
    if (line.users > 0 || this.#lines.get(line.key) !== line) return
    line.timer?.cancel()
    line.timer = clock.after(LINGER_MS, () => this.#drop(line))
  }

  #isLeftAlone(key: string): boolean {
    return this.#options.clock.now() < (this.#failed.get(key)?.until ?? Number.NEGATIVE_INFINITY)
  }

  #leaveAlone(key: string, afterMs: number): void {
    this.#failed.delete(key)
    this.#failed.set(key, { until: this.#options.clock.now() + afterMs, afterMs })
    const [oldest] = this.#failed.keys()
    if (this.#failed.size > MAX_REMEMBERED && oldest !== undefined) this.#failed.delete(oldest)
  }

  #makeRoom(): boolean {
    const [idle] = [...this.#lines.values()].filter(({ users }) => users === 0).toSorted((a, b) => a.usedAt - b.usedAt)
    if (idle) this.#drop(idle)
    return idle !== undefined
  }

  #drop(line: ForeignLine<L>): void {
    this.#lines.delete(line.key)
    line.timer?.cancel()
    line.line.close()
  }

  /** What to dial, with the one address that is dialled; undefined where it would lead into a private network. */
  async #addressOf(relay: HomeRelay, near: boolean, signal: AbortSignal): Promise<RelayAddress | undefined> {
    const [address] = relayAddresses([{ url: relay.url, id: relay.id }], this.#options.environment)
    // What a proxy reaches we cannot judge, and without TLS only the id proves a relay.
    if (!address || address.proxy || (relay.id === undefined && !isSecure(address.url))) return undefined
    const host = address.known.name
    const found = isIP(host) ? [host] : await this.#resolve(host, relay.address, signal)
    const dialled = found.find(candidate => mayDial(candidate, near))
    return dialled === undefined ? undefined : { ...address, known: { name: dialled } }
  }

  async #resolve(host: string, before: string | undefined, signal: AbortSignal): Promise<readonly string[]> {
    const { clock, resolve } = this.#options
    const known = before === undefined ? [] : [before]
    let asking = this.#asking.get(host)
    if (!asking) {
      const ask = resolve ?? (async (name: string) => (await lookup(name, { all: true })).map(({ address }) => address))
      asking = ask(host)
        .catch(() => [])
        .finally(() => this.#asking.delete(host))
      this.#asking.set(host, asking)
    }
    const patience = known.length > 0 ? DNS_PATIENCE_MS : CONNECT_MS
    const told = await Promise.race([asking, pause(clock, patience, signal)])
    return Array.isArray(told) && told.length > 0 ? told : known
  }
}
