import { asCulvertError, CulvertError } from '../../../common/errors.ts'
import { type Clock, pause, type Timer } from '../../../common/platform/clock.ts'
import type { Log } from '../../../common/platform/log.ts'
import type { Random } from '../../../common/platform/random.ts'
import type { PeerId } from '../../../common/wire/peer-id.ts'
import type { AddressSource } from '../address-source.ts'
import { dhtItem, epochAt, openSealed, sealRecord } from './dht-item.ts'
import type { Dht } from './dht-run.ts'

/** BEP 44: nodes forget after two hours. Each time costs some 50 kB. */
const REPEAT_MS = 80 * 60_000
/** After the start, or a new record, what comes with it settles. */
const SOON_MS = 15_000
const APART_MS = 10 * 60_000
/** Relays, the LAN and records are quicker, and cost nothing. */
const SEEK_AFTER_MS = 1_500
/** So long somebody who waits for a peer waits for the DHT; what comes later is taken all the same. */
const SEEK_MS = 6_000
/** A peer that is not found is sought more and more rarely. */
const SEEK_APART_MS = { least: 60_000, most: 30 * 60_000 } as const
const MAX_SOUGHT = 256
/** Waiting for their turn, each some seconds. */
const MAX_WAITING = 4
/** Each costs as much again. */
export const MAX_SECRETS = 8
/** Before it, a clock is one that was never set, and would name a day that nobody looks under. */
const FIRST_TIME_MS = Date.UTC(2025, 0)

/** What came of the last visit; `unknown` before the first. */
export type DhtState = 'off' | 'unknown' | 'answers' | 'silent'

export interface DhtDirectoryOptions {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly ownId: PeerId
  readonly enabled: () => boolean
  readonly ownRecord: () => Uint8Array | undefined
  /** What those who may find us know: the network's secret, and that of each pinned pair. */
  readonly secrets: () => readonly Uint8Array[]
  /** What a peer that we look for has its record sealed with. */
  readonly secretOf: (peer: PeerId) => Uint8Array | undefined
  /** Something else knows at this moment where the peer is. */
  readonly isPresent: (peer: PeerId) => boolean
  /** A record came; throws when it is none. */
  readonly take: (bytes: Uint8Array) => void
  /** Takes part in the DHT for as long as the work lasts. */
  readonly run: <T>(work: (dht: Dht) => Promise<T>, signal: AbortSignal) => Promise<T>
}

/** Tells the DHT where we are, sealed for those who share trust with us, and looks there for peers that nothing else finds. */
export class DhtDirectory {
  readonly #options: DhtDirectoryOptions
  readonly #stop = new AbortController()
  readonly #sought = new Map<PeerId, { readonly until: number; readonly apartMs: number }>()
  #timer: Timer | undefined
  #dueAt = Number.POSITIVE_INFINITY
  #toldAt = Number.NEGATIVE_INFINITY
  #turn: Promise<unknown> = Promise.resolve()
  #waiting = 0
  #answered: boolean | undefined

  constructor(options: DhtDirectoryOptions) {
    this.#options = options
  }

  /** Where it is looked for peers. What it finds, the records know. */
  get source(): AddressSource {
    return { name: 'dht', addresses: () => [], seek: (peer, signal) => this.#seek(peer, signal) }
  }

  get state(): DhtState {
    if (!this.#options.enabled()) return 'off'
    if (this.#answered === undefined) return 'unknown'
    return this.#answered ? 'answers' : 'silent'
  }

  /** It may begin; or our record, whom we trust, or the config is another one. */
  changed(): void {
    const { clock, enabled } = this.#options
    if (enabled()) this.#tellAt(Math.max(clock.now() + SOON_MS, this.#toldAt + APART_MS))
  }

  /** Resolves when nothing is under way any more. */
  async close(): Promise<void> {
    this.#stop.abort()
    this.#timer?.cancel()
    await this.#turn
  }

  #tellAt(at: number): void {
    if (this.#stop.signal.aborted || at >= this.#dueAt) return
    this.#timer?.cancel()
    this.#dueAt = at
    const { clock } = this.#options
    this.#timer = clock.after(at - clock.now(), () => {
      this.#dueAt = Number.POSITIVE_INFINITY
      void this.#tell()
    })
  }

  async #tell(): Promise<void> {
    const { clock, log, random, ownId, ownRecord, secrets, enabled } = this.#options
    if (!enabled()) return
    this.#toldAt = clock.now()
    // Not at the same minute for all who came back after an outage.
    this.#tellAt(this.#toldAt + REPEAT_MS - random.integer(0, REPEAT_MS / 8))
    const record = ownRecord()
    const wallNow = clock.wallNow()
    if (!record || wallNow < FIRST_TIME_MS) return
    const items = secrets()
      .slice(0, MAX_SECRETS)
      .map(secret => dhtItem(secret, ownId, epochAt(wallNow)))
    if (items.length === 0) return
    await this.#inTurn(async dht => {
      let nodes = 0
      for (const item of items) {
        const value = sealRecord(item, record, random)
        if (value) nodes += await dht.put(item.key, value, Math.floor(wallNow / 1000))
        else log.warn('the record of where this device is does not fit into the DHT; its relays have too long URLs')
      }
      log.debug('told the DHT where we are', { items: items.length, nodes })
    })
  }

  async #seek(peer: PeerId, signal: AbortSignal): Promise<void> {
    const { clock, enabled, isPresent, secretOf } = this.#options
    const secret = enabled() ? secretOf(peer) : undefined
    if (!secret || clock.wallNow() < FIRST_TIME_MS || isPresent(peer) || this.#waiting >= MAX_WAITING) return
    const before = this.#sought.get(peer)
    if (clock.now() < (before?.until ?? Number.NEGATIVE_INFINITY)) return
    if (!(await pause(clock, SEEK_AFTER_MS, signal)) || isPresent(peer)) return
    const apartMs = Math.min(before ? before.apartMs * 2 : SEEK_APART_MS.least, SEEK_APART_MS.most)
    this.#sought.delete(peer)
    this.#sought.set(peer, { until: clock.now() + apartMs, apartMs })
    const [oldest] = this.#sought.keys()
    if (this.#sought.size > MAX_SOUGHT && oldest !== undefined) this.#sought.delete(oldest)
    const found = this.#inTurn(dht => this.#find(dht, peer, secret))
    await Promise.race([found, pause(clock, SEEK_MS, signal)])
  }

  async #find(dht: Dht, peer: PeerId, secret: Uint8Array): Promise<void> {
    const { clock, log, take } = this.#options
    const today = epochAt(clock.wallNow())
    // It may have told it yesterday, or its clock be ahead.
    for (const epoch of [today, today - 1]) {
      const item = dhtItem(secret, peer, epoch)
      const value = await dht.get(item.key.id)
      const record = value && openSealed(item, value)
      if (!record) continue
      try {
        take(record)
        this.#sought.delete(peer)
      } catch (thrown) {
        // A member can write into the place of another one, but not its record.
        log.debug('the DHT has a record that is none', {
          reason: asCulvertError(thrown, 'wire-malformed', 'record').message,
        })
      }
      return
    }
  }

  /** One run at a time. Never rejects. */
  #inTurn(work: (dht: Dht) => Promise<void>): Promise<void> {
    const { run, log } = this.#options
    this.#waiting++
    const result = this.#turn.then(async () => {
      try {
        if (this.#stop.signal.aborted) return
        await run(work, this.#stop.signal)
        if (this.#answered !== true) log.info('the DHT answers')
        this.#answered = true
      } catch (thrown) {
        if (this.#stop.signal.aborted) return
        const { message } = asCulvertError(thrown, 'timed-out', 'the DHT')
        if (this.#answered !== false) log.warn('the DHT does not answer', { reason: message })
        this.#answered = false
      } finally {
        this.#waiting--
      }
    })
    this.#turn = result
    return result
  }
}

/** No node is known to begin with. */
export function noNodes(): CulvertError {
  return new CulvertError('timed-out', 'no node of the DHT is known; check the names under "dht.bootstrap"')
}
